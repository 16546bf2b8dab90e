"""Every query of the store by name, by topic. Each is given a session and commits nothing.

`dispatch.py` calls them. What belongs to another user is refused as if it were not there.
"""

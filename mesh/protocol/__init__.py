"""The wire: subjects, messages, error codes and the rule of the latest claim. No I/O in here.

Lowest floor of the house: imports the standard library and msgspec only, so that a client,
a test or another implementation can depend on it alone.
"""

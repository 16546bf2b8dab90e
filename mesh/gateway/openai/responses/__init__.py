"""`/v1/responses`: answers with an id, which can be read, read on, and stopped from anywhere.

A response is its request in the log and nothing more: it is kept as long as the log is.
"""

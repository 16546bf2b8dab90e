"""Threads: conversations of several people and assistants, with messages and runs."""

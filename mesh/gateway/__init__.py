"""The HTTP side: takes prompts, follows their logs, and writes Server-Sent Events."""

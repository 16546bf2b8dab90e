"""Assistants, and tools to give them: kept by their owner, shared with whom they like."""

"""What an answer has to look like, compiled from JSON Schemas and tools into a grammar."""

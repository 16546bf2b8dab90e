"""The database: chats, runs and worker events, all of it read from the log."""

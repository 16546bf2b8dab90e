"""The store: keeps chats, runs and worker events in a database, from the log. Serves no HTTP."""

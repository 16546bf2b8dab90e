"""The `mesh` command. Each command imports the service it starts, and no other."""

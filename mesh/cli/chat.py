"""`mesh chat`, which is the client's."""

from mesh_client.repl import chat as command

__all__ = ["command"]

"""`mesh ask`, which is the client's."""

from mesh_client.ask import ask as command

__all__ = ["command"]

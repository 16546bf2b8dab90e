"""`mesh logout`, which is the client's."""

from mesh_client.login import logout as command

__all__ = ["command"]

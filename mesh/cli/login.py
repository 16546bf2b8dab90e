"""`mesh login`, which is the client's."""

from mesh_client.login import login as command

__all__ = ["command"]

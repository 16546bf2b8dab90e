"""A load of concurrent streams on a gateway, and what came of it. Knows HTTP, not the mesh."""

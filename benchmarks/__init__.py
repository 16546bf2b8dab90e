"""What the mesh is held against, and the run that does it. Not part of the installed package."""

"""The model that comes with the mesh: a small demonstration, so that it runs with no download."""

from pathlib import Path

PATH: Path = Path(__file__).with_name("mesh-demo.gguf")
"""The GGUF file; `tools/bundled_model` holds the scripts that made it."""

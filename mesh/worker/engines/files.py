"""What a model is made of on disk: a GGUF file, perhaps in parts, or a folder. Reads no file."""

import re
from pathlib import Path

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""The end of a GGUF file's name that is one of several."""


def parts(file: Path) -> list[Path]:
    """All parts of a model in several GGUF files, in order, of which `file` is one; else itself."""
    match = _PART.search(file.name)
    if match is None:
        return [file]
    stem, count = file.name[: match.start()], match[2]
    return [file.with_name(f"{stem}-{n:05}-of-{count}.gguf") for n in range(1, int(count) + 1)]


def size_of(path: Path) -> int:
    """Bytes of a model's weights: its GGUF files, or the safetensors of its folder."""
    files = path.glob("*.safetensors") if path.is_dir() else parts(path)
    return sum(file.stat().st_size for file in files if file.exists())

"""The models on this machine's disk: the bundled one, the hub's cache, the folder of models.

Looks at names, sizes and headers; loads and downloads nothing.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from mesh.protocol.errors import MeshError
from mesh.worker.bundled import PATH as BUNDLED
from mesh.worker.engines.files import parts, size_of

Place = Literal["bundled", "cache", "folder"]
DEEP = 3
"""Folders within the folder of models that are looked into."""


class Shelved(Struct, frozen=True, kw_only=True):
    """A model on disk. name: what a worker is told to load it; engine: that would; size: bytes;
    fingerprint: "" where the files do not give one; trouble: why it cannot be served, or ""."""

    name: str
    path: str
    place: Place
    engine: str
    size: int
    fingerprint: str
    trouble: str = ""


def on_disk(models_dir: str = "") -> list[Shelved]:
    """All there are, those that cannot be read included; by place and name. Blocks."""
    found = [_shelved("mesh-demo", BUNDLED, "bundled")]
    found += _in_folder(Path(models_dir).expanduser()) if models_dir else []
    return [*found, *_in_cache(hub_cache())]


def hub_cache() -> Path:
    """Where the hub's own library keeps what it has downloaded, by the variables that it obeys."""
    if named := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"


def _in_folder(folder: Path) -> Iterator[Shelved]:
    for path in _models(folder):
        name = path.relative_to(folder).as_posix()
        yield _shelved(name.removesuffix(".gguf"), path, "folder")


def _in_cache(cache: Path) -> Iterator[Shelved]:
    for repository in sorted(cache.glob("models--*")):
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        snapshot = _snapshot(repository)
        for path in _models(snapshot) if snapshot is not None else ():
            file = path.relative_to(snapshot or path).as_posix()
            yield _shelved(f"hf:{name}" if path == snapshot else f"hf:{name}:{file}", path, "cache")


def _snapshot(repository: Path) -> Path | None:
    """The newest revision that was downloaded: the one that its main branch stands for, if any."""
    main = repository / "refs" / "main"
    if main.is_file():
        named = repository / "snapshots" / main.read_text().strip()
        if named.is_dir():
            return named
    there = (path for path in repository.glob("snapshots/*") if path.is_dir())
    return max(there, key=lambda path: path.stat().st_mtime, default=None)


def _models(folder: Path, depth: int = DEEP) -> Iterator[Path]:
    """GGUF files, of those in parts the first; and folders of safetensors with their config."""
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        yield folder
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir():
            yield from _models(path, depth - 1) if depth else ()
        elif path.suffix == ".gguf" and "mmproj" not in path.name:
            if parts(path)[0] == path:
                yield path


def _shelved(name: str, path: Path, place: Place) -> Shelved:
    fingerprint, trouble = "", ""
    try:
        fingerprint = _fingerprint(path)
    except MeshError as error:
        trouble = error.detail
    return Shelved(
        name=name,
        path=str(path),
        place=place,
        engine="exllamav2" if path.is_dir() else "llamacpp",
        size=size_of(path),
        fingerprint=fingerprint,
        trouble=trouble,
    )


def _fingerprint(path: Path) -> str:
    if path.is_dir():
        from mesh.worker.engines.exllamav2.folder import read_folder

        return read_folder(path).fingerprint
    from mesh.worker.engines.gguf_header import read_header

    return read_header(path).fingerprint

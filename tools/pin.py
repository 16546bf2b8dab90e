"""Renew constraints.txt: the exact versions that `pip install .[dev,exllamav2]` would take now.

    python -m tools.pin

Names and versions only: no index, no local version tag, nothing of the machine it was made on.
"""

import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

HEADER = """\
# Exact versions of everything the project installs for development, tests, `mesh up` and workers
# with GPUs.
# Renewed with `make pin`; used by `make setup`.
"""


class _Metadata(Struct):
    name: str
    version: str


class _Item(Struct):
    metadata: _Metadata


class _Report(Struct):
    install: list[_Item]


def resolve(*requirements: str) -> list[str]:
    """`name==version` of requirements and all that they need, by pip's own resolver."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    printed = subprocess.run(
        [*command, "--quiet", "--report", "-", *requirements], check=True, capture_output=True
    ).stdout
    found = msgspec.json.decode(printed, type=_Report).install
    pins = {item.metadata.name.lower(): item.metadata.version.partition("+")[0] for item in found}
    pins.pop("inference-mesh", None)
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def main() -> None:
    Path("constraints.txt").write_text(HEADER + "\n".join(resolve(".[dev,exllamav2]")) + "\n")


if __name__ == "__main__":
    main()

"""An environment of Python for each set of clients that get on with each other, made once.

What goes into one stands in `environments/NAME.in`, the exact versions that this came to in
`NAME.txt`. It is made anew when those versions change, or Python does.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "environments"
CANARY = "compatcanary@0.2.2"
"""The one client that is not of Python: a package of npm, without any other."""
OPENID = Path(__file__).parent / "openid"
"""The provider of OpenID Connect, of npm as well: its versions stand in its lock file."""


class NotMade(Exception):
    """An environment cannot be made here; the text says why."""


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.in"))


def python_of(cache: Path, name: str) -> Path:
    """The Python of an environment, made if need be. Raises NotMade."""
    pins = FOLDER / f"{name}.txt"
    mark = sha256(f"{sys.version}\n{pins.read_text()}".encode()).hexdigest()[:12]
    folder = cache / f"{name}-{mark}"
    python = folder / "bin" / "python"
    if (folder / "whole").exists():
        return python
    _forget(cache.glob(f"{name}-*"))
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    _run(*pip, "install", "--quiet", "--no-deps", "--no-compile", "-r", str(pins))
    (folder / "whole").touch()
    return python


def canary(cache: Path) -> list[str]:
    """The command that runs CompatCanary, fetched if need be. Raises NotMade."""
    folder, node = cache / CANARY, _node()
    program = folder / "node_modules" / "compatcanary" / "src" / "cli.js"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run("npm", "install", "--silent", "--no-fund", "--prefix", str(folder), CANARY)
    return [node, str(program)]


def provider(cache: Path) -> list[str]:
    """The command that runs the provider of OpenID Connect, fetched if need be. Raises NotMade."""
    lock, node = (OPENID / "package-lock.json").read_bytes(), _node()
    folder = cache / f"openid-{sha256(lock).hexdigest()[:12]}"
    if not (folder / "whole").exists():
        _forget(cache.glob("openid-*"))
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", "server.mjs"):
            shutil.copy(OPENID / name, folder)
        _run("npm", "ci", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder))
        (folder / "whole").touch()
    shutil.copy(OPENID / "server.mjs", folder)
    return [node, str(folder / "server.mjs")]


def provider_version() -> str:
    """The provider's name and version."""
    wanted = json.loads((OPENID / "package.json").read_text())["dependencies"]
    return " ".join(*wanted.items())


def _node() -> str:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise NotMade("node and npm are not installed")
    return node


def _forget(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotMade(f"`{' '.join(command[:6])} ...` failed: {''.join(said)}")

"""Create the virtual environment of `make setup`, or say in one sentence what is missing.

Runs on the system's own Python, which may be too old for everything else here: no new syntax.
"""

import shutil
import sys

MINIMUM = (3, 11)


def main(folder: str) -> None:
    """Create the environment; exits with a sentence where that cannot be."""
    if sys.version_info[:2] < MINIMUM:
        newer = [f"python3.{minor}" for minor in range(19, 10, -1)]
        sys.exit(too_old(next((name for name in newer if shutil.which(name)), "")))
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        sys.exit(no_venv())
    venv.create(folder, with_pip=True, symlinks=True)


def too_old(newer: str) -> str:
    """The sentence for a Python that is too old; `newer` is the name of one that is not, or ""."""
    advice = (
        f"make setup PYTHON={newer}" if newer else "install a newer one, and name it: PYTHON=..."
    )
    return (
        f"The mesh needs Python {_spell(MINIMUM)} or newer, but {sys.executable} is "
        f"{_spell(sys.version_info[:2])}: {advice}"
    )


def no_venv() -> str:
    """The sentence for a system's Python from which the module was left out."""
    return (
        f"{sys.executable} lacks the module venv: install the package python3-venv (on Debian and "
        f"Ubuntu: sudo apt install python{_spell(sys.version_info[:2])}-venv), and try again."
    )


def _spell(version: "tuple[int, ...]") -> str:
    return ".".join(str(number) for number in version)


if __name__ == "__main__":
    main(sys.argv[1])

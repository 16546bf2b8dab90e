"""Run the tests, and those that failed once more, one after the other.

    python -m tools.suite [what pytest takes]

Many of them are whole meshes that run side by side on few cores, which others may use as well: one
may fail for nothing but being late. What fails alone, too, fails; what passes then is named, for it
asks more of the machine than it should, or has met a fault that is rare. More than MOST are not run
again: then it is not the machine.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MOST = 5

FAILED = 1
"""pytest's exit status where tests have failed, and nothing else was wrong."""

CACHE = Path(".pytest_cache/v/cache/lastfailed")


def main(arguments: Sequence[str]) -> int:
    """The exit status of pytest; 0 where what failed at first passed in the end."""
    status = _pytest("--cache-clear", *arguments)
    failed = sorted(json.loads(CACHE.read_text())) if status == FAILED else []
    if not 0 < len(failed) <= MOST:
        return status
    print(f"\nOnce more, alone: {len(failed)} of the tests", flush=True)
    status = _pytest(*failed)
    if status == 0:
        print("\nFailed beside others, and passed alone; look into these:", *failed, sep="\n  ")
    return status


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # pytest has said how far it had come
        sys.exit(130)

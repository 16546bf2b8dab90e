"""A test that fails is run once more, alone; what fails then, too, has failed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.suite import MOST

ROOT = Path(__file__).parents[2]

LATE = """
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range({}))
def test_late(number):
    seen = Path(f"seen {{number}}")
    first = not seen.exists()
    seen.touch()
    assert not first
"""
BROKEN = "def test_broken(): assert False\n"


@pytest.mark.parametrize(
    ("tests", "status", "said"),
    [
        (LATE.format(1), 0, "passed alone; look into these:\n  test_it.py::test_late[0]"),
        (LATE.format(1) + BROKEN, 1, "1 failed, 1 passed"),
        (LATE.format(MOST + 1), 1, f"{MOST + 1} failed"),
    ],
)
def test_what_is_run_again(tmp_path: Path, tests: str, status: int, said: str) -> None:
    (tmp_path / "test_it.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "tools.suite", "-q"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stdout

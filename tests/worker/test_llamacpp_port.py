"""No folder outlives the process that needed it for longer than until the next one starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("xllamacpp")

MAKE = "from mesh.worker.engines.llamacpp_port import TokenizerPort as P; p = P(); print(p.path)"


@pytest.mark.parametrize("end", ["p.close()", "import os; os.kill(os.getpid(), 9)"])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, end: str) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    run = [sys.executable, "-c"]
    first = subprocess.run([*run, f"{MAKE}; {end}"], env=environment, capture_output=True)
    assert first.returncode == (0 if "close" in end else -9)
    other = subprocess.run(
        [*run, f"{MAKE}; import os; print(len(os.listdir(os.environ['TMPDIR'])))"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert other.stdout.splitlines()[-1] == "1"

"""The log of a service: its own words from the level on that was asked for, and no one's data."""

import subprocess
import sys

import pytest

LIBRARIES = ("aiosqlite", "sqlalchemy.engine", "httpx", "httpcore", "nats", "asyncio", "alembic")


def logged(level: str) -> str:
    """What a process logs whose libraries, and whose own code, log a line on each level."""
    code = f"""
import logging
from mesh.cli.serving import log_to_stderr
log_to_stderr({level!r})
for name in ("mesh.store", *{LIBRARIES!r}):
    for severity in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger(name), severity)("%s of %s", severity, name)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stderr


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_the_libraries_never_tell_what_they_handle(level: str) -> None:
    lines = logged(level)
    for name in LIBRARIES:
        assert f"debug of {name}" not in lines and f"info of {name}" not in lines
        assert f"warning of {name}" in lines


def test_the_level_holds_for_our_own_lines() -> None:
    assert "debug of mesh.store" in logged("debug")
    assert "info of mesh.store" in logged("info") and "debug" not in logged("info")
    assert "of mesh.store" in logged("error") and "warning" not in logged("error")

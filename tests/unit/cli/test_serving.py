"""The log of a service: its own words from the level on that was asked for, and no one's data."""

import json
import subprocess
import sys
from datetime import datetime

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


def test_lines_are_objects_for_programs_that_collect_them() -> None:
    code = """
import logging
from mesh.bus.trace import TRACE
from mesh.cli.serving import log_to_stderr
log_to_stderr("info", "json", "WorkerSettings")
log = logging.getLogger("mesh.worker")
log.info("Serving %s", "m")
TRACE.set("abc123")
try:
    raise ValueError("no disk")
except ValueError:
    log.exception("It broke\\ndown")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert first.keys() == {"time", "level", "service", "pid", "logger", "message"}
    assert (first["service"], first["level"], first["message"]) == ("worker", "info", "Serving m")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert second["request_id"] == "abc123" and second["message"] == "It broke\ndown"
    assert "ValueError: no disk" in second["error"]


def test_a_line_about_a_request_begins_with_its_id() -> None:
    code = """
import logging
from mesh.bus.trace import TRACE
from mesh.cli.serving import log_to_stderr
log_to_stderr("info")
log = logging.getLogger("mesh.worker")
log.info("before")
TRACE.set("abc123")
log.info("within")
log.info("abc123 said already")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    lines = [line.split(maxsplit=2)[2] for line in done.stderr.splitlines()]
    assert lines == ["before", "abc123 within", "abc123 said already"]

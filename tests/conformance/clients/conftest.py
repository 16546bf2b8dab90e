"""What the clients' tests share. They run in environments of their own: nothing here may import
anything of the project.

Each file names its client (`CLIENT`, a distribution); each test says what it shows with the marker
`shows`, or its file says so for all of them (`SHOWS`; with `AS_ONE` they count as one). What came
of them is written to the file that CONFORMANCE_RESULTS names: of what was skipped also why, and how
often, and of a file that has a function `tried` how many routes were asked, of how many.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

BASE = os.environ.get("CONFORMANCE_URL", "http://127.0.0.1:8000")
"""The mesh."""

_results: dict[str, dict[str, dict[str, Any]]] = {}


@pytest.fixture(scope="session")
def mesh() -> str:
    """The mesh's own address."""
    return BASE


@pytest.fixture(scope="session")
def url() -> str:
    """What a client is given as its base URL."""
    return f"{BASE}/v1"


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    """OpenAI's client, such that it takes nothing which is not of its types."""
    from openai import OpenAI  # not there for every client

    with OpenAI(**_of_strict_types(url)) as found:
        yield found


@pytest.fixture
async def aclient(url: str) -> AsyncIterator[Any]:
    """The same, asynchronous."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(**_of_strict_types(url)) as found:
        yield found


def _of_strict_types(url: str) -> dict[str, Any]:
    return {
        "base_url": url,
        "api_key": "guest",
        "max_retries": 0,
        "_strict_response_validation": True,
    }


def features(item: Any, module: Any) -> list[str]:
    """What a test shows; `{route}` is the first of its parameters."""
    marker = item.get_closest_marker("shows")
    shown = marker.args if marker else (module.SHOWS,)
    return [
        each.format(route=item.callspec.id.partition("-")[0]) if "{" in each else each
        for each in shown
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    if report.when == "call" or (report.when == "setup" and not report.passed):
        module: Any = item.getparent(pytest.Module)
        name = module.obj.CLIENT
        client = _results.setdefault(f"{name} {version(name)}", {})
        for feature in features(item, module.obj):
            counts = client.setdefault(feature, {"passed": 0, "failed": 0, "skipped": 0})
            once = getattr(module.obj, "AS_ONE", False)
            counts[report.outcome] = 1 if once else counts[report.outcome] + 1
            if report.skipped:
                why = counts.setdefault("why", {})
                why[_why(report)] = why.get(_why(report), 0) + 1
            if once and hasattr(module.obj, "tried"):
                counts |= module.obj.tried()
    return report  # type: ignore[no-any-return]


def _why(report: Any) -> str:
    """Why a test was skipped, or may fail."""
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    return str(report.longrepr[2]).removeprefix("Skipped: ")


def pytest_sessionfinish() -> None:
    if path := os.environ.get("CONFORMANCE_RESULTS"):
        Path(path).write_text(json.dumps(_results))

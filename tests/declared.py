"""Watches every answer of a gateway that a test gets: its status has to be in the document.

Put `watched` into a conftest as a fixture of every test. What the document does not know, such as
unknown paths and methods, is not looked at; nor is what is no gateway's, which has no request id.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from mesh.gateway.openapi import document
from tests.served import bare_app

_PARAMETER = re.compile(r"\{(\w+)\}")
_WHOLE_PATHS = ("model",)
"""Parameters that take the rest of the path, slashes and all."""


class Declared:
    """What the document says of each route, the most definite paths first."""

    def __init__(self) -> None:
        paths: dict[str, Any] = msgspec.json.decode(document(bare_app()))["paths"]
        self._routes = [
            (re.compile(_pattern(path)), paths[path])
            for path in sorted(paths, key=lambda path: (path.count("{"), -len(path)))
        ]

    def complaint(self, response: httpx.Response) -> str:
        """What is wrong with an answer; "" where nothing is."""
        request = response.request
        path = request.url.path.rstrip("/") or "/"
        methods: dict[str, Any] = next(
            (found for form, found in self._routes if form.fullmatch(path)), {}
        )
        method = "get" if request.method == "HEAD" else request.method.lower()
        operation = methods.get(method)
        if operation is None or str(response.status_code) in operation["responses"]:
            return ""
        return f"{request.method} {path} answered {response.status_code}"


@pytest.fixture(scope="session")
def declared() -> Declared:
    return Declared()


@pytest.fixture(autouse=True)
def watched(declared: Declared, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test in which a gateway answered with a status that its document does not have."""
    complaints: list[str] = []
    both, one = httpx.AsyncClient.send, httpx.Client.send

    def look(response: httpx.Response) -> httpx.Response:
        if "x-request-id" in response.headers:
            complaints.extend(filter(None, [declared.complaint(response)]))
        return response

    async def send(client: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
        return look(await both(client, *args, **options))

    def send_one(client: httpx.Client, *args: Any, **options: Any) -> httpx.Response:
        return look(one(client, *args, **options))

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    monkeypatch.setattr(httpx.Client, "send", send_one)
    yield
    assert not complaints, f"not in the document: {sorted(set(complaints))}"


def _pattern(path: str) -> str:
    """A regular expression of what a path of the document stands for."""

    def form(found: re.Match[str]) -> str:
        return ".+" if found[1] in _WHOLE_PATHS else "[^/]+"

    literal = re.split(r"(\{\w+\})", path)
    return "".join(
        _PARAMETER.sub(form, part) if part.startswith("{") else re.escape(part) for part in literal
    )

"""Every route of the gateway under hostile requests: no crash, no hang, nothing wrongly accepted.

The routes and what they take are read from the gateway's own OpenAPI document, so a new one is
covered by being there. MESH_FUZZ_SEED and MESH_FUZZ as in `tests/hostile.py`.
"""

import asyncio
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.chatting import answer, new_chat, ok
from tests.hostile import SEED, STRINGS, rounds, sample, spoilt, value
from tests.whole_mesh import ECHO, Mesh

HANG = 30.0
"""Seconds after which an answer has not begun, or not ended, on the busiest machine."""

ENOUGH = 16_384
"""Bytes of a stream after which we hang up."""

AT_ONCE = 8

HEADERS = (
    "Authorization", "Idempotency-Key", "Last-Event-ID", "Refresh", "Content-Type", "Accept",
    "X-Forwarded-For", "Cookie", "Range", "Content-Encoding", "If-None-Match",
    "TrustedClient",
)  # fmt: skip

ODD = (
    b"\xff\xfe", b"", b"-1", b"99999999999999999999", b"0, 1", b"NaN", b"Bearer", b"Basic Og==",
    b"application/xml", b"multipart/form-data", b"gzip", b"x" * 8_000, b"\xc3\xa9", b"'; --",
    b64encode(b'{"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}"), b64encode(b'{"api_key":"\xff"}'),
)  # fmt: skip

Json = Any


@dataclass
class Route:
    """One operation of the document. body: the JSON Schema of its body, None where it has none."""

    method: str
    path: str
    parameters: list[Json]
    body: Json | None
    components: Json

    @property
    def ends_the_session(self) -> bool:
        """Whether whoever asks may be signed in no longer afterwards: such routes come last."""
        own = self.path.startswith(("/auth", "/account")) and "{" not in self.path
        return own and self.method in ("POST", "PUT", "DELETE")

    def wrong(self, data: bytes) -> bool:
        """Whether a body is surely none that this route takes."""
        if self.body is None:
            return False
        try:
            found = json.loads(data or b"{}", parse_constant=_none, parse_int=_int)
        except (ValueError, RecursionError):
            return True
        schema = self.body | {"components": {"schemas": self.components}}
        try:
            validator: Any = jsonschema.Draft202012Validator(schema)
            return not validator.is_valid(found)
        except RecursionError:
            return True


def _none(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _int(digits: str) -> float:
    return int(digits) if len(digits) < 400 else float("inf")


@dataclass
class Asked:
    """One request, and what came of it."""

    route: Route
    url: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    wrong: bool
    status: int = 0
    text: bytes = b""

    def __str__(self) -> str:
        shown = (self.body[:300], self.headers, self.status, self.text[:300])
        return f"{self.route.method} {self.url[:200]}: {shown}"


@dataclass
class Fuzzer:
    """Draws requests. real: ids that there are, by the name of the parameter."""

    rng: Random
    real: dict[str, list[str]] = field(default_factory=dict)

    def ask(self, route: Route) -> Asked:
        path, query = route.path, []
        for parameter in route.parameters:
            name = parameter["name"]
            match parameter["in"]:
                case "path":
                    path = path.replace(f"{{{name}}}", self.spelled(name))
                case "query" if parameter["required"] or self.rng.random() < 0.5:
                    query.append(f"{name}={self.spelled(name)}")
        body, wrong = self.body(route)
        url = path + ("?" + "&".join(query) if query else "")
        return Asked(route, url, self.headers(route), body, wrong)

    def spelled(self, name: str) -> str:
        """A parameter: one that there is, or one that nobody expects."""
        known = self.real.get(name, [])
        if known and self.rng.random() < 0.6:
            return self.rng.choice(known)
        if self.rng.random() < 0.2:
            return self.rng.choice(("%ff%fe", "%00", "%", "%2e%2e", "%C0%AF", "..;"))
        odd = str(value(self.rng)) if self.rng.random() < 0.4 else self.rng.choice(STRINGS)
        return quote(odd[:2_000], safe="") or "x"

    def body(self, route: Route) -> tuple[bytes, bool]:
        if route.body is None:
            good: Json = {"a": 1}
            return (spoilt(self.rng, good) if self.rng.random() < 0.5 else b""), False
        good = sample(self.rng, route.body, route.components)
        if self.rng.random() < 0.15:
            return json.dumps(good).encode(), False
        data = spoilt(self.rng, good)
        return data, route.wrong(data)

    def headers(self, route: Route) -> list[tuple[bytes, bytes]]:
        if self.rng.random() < 0.6:
            return []
        names = [self.rng.choice(HEADERS) for _ in range(self.rng.randint(1, 2))]
        return [(name.encode(), self.rng.choice(ODD)) for name in names]


def routes_of(document: Json) -> list[Route]:
    """Every operation of an OpenAPI document."""
    components = document["components"]["schemas"]
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("schema")
            parameters = operation["parameters"]
            found.append(Route(method.upper(), path, parameters, body, components))
    return found


async def send(http: httpx.AsyncClient, asked: Asked) -> None:
    """Send a request and read its answer, or of a stream as much as is enough."""
    async with asyncio.timeout(HANG):
        async with http.stream(
            asked.route.method, asked.url, headers=asked.headers, content=asked.body
        ) as response:
            asked.status = response.status_code
            try:
                async with asyncio.timeout(1.0 if is_stream(response) else HANG):
                    async for chunk in response.aiter_raw():
                        asked.text += chunk
                        if len(asked.text) > ENOUGH:
                            break
            except TimeoutError:
                assert is_stream(response), "it hangs"


def is_stream(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.startswith("text/event-stream")


ALLOWED = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 501, 503})
"""The refusals that hostile requests may get: each says what is wrong with them, or why not now."""


def complaint(asked: Asked) -> str:
    """What is wrong with an answer; "" where nothing is."""
    if asked.status >= 400 and asked.status not in ALLOWED:
        return f"fell over: {asked}"
    if asked.wrong and asked.status < 400 and b'"error"' not in asked.text:
        return f"wrongly accepted: {asked}"
    return ""


@pytest.fixture
def quick_mesh(new_mesh: Callable[..., Mesh]) -> Mesh:
    """A mesh that answers at once, and that may be disturbed."""
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    return mesh


@pytest.mark.timeout(0)
async def test_no_route_falls_over_hangs_or_takes_what_is_wrong(
    quick_mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    print(f"MESH_FUZZ_SEED={SEED}")
    limits = httpx.Limits(max_connections=64)
    async with (
        await quick_mesh.client("fuzz", limits=limits) as http,
        await quick_mesh.admin(limits=limits) as admin,
    ):
        chat = await new_chat(http)
        message = (await answer(http, chat, "hello"))["id"]
        fuzzer = Fuzzer(Random(f"{SEED} routes"))
        fuzzer.real = {"chat_id": [chat], "message_id": [message], "model": [ECHO]}
        routes = routes_of(ok(await http.get("/openapi.json")))
        complaints, statuses = list[str](), Counter[int]()
        for client in (admin, http):
            asked = [fuzzer.ask(route) for _ in range(rounds(12)) for route in routes]
            asked.sort(key=lambda one: one.route.ends_the_session)
            complaints += await send_all(client, asked)
            statuses.update(one.status for one in asked)
        print(f"{statuses.total()} requests to {len(routes)} routes: {dict(statuses)}")
        assert len(routes) > 40 and {200, 400, 404} <= statuses.keys(), statuses
    async with await quick_mesh.client("afterwards") as http:
        told = await answer(http, await new_chat(http), "still there")
        assert told["content"] == "still there"
    crashes = [record for record in caplog.records if record.exc_info and "mesh" in record.name]
    complaints += [f"crashed: {record.getMessage()}: {record.exc_info}" for record in crashes]
    assert not complaints, "\n".join([f"{len(complaints)} complaints", *complaints[:30]])


async def send_all(http: httpx.AsyncClient, asked: list[Asked]) -> list[str]:
    """Send all requests, some at once; returns what is wrong with the answers."""
    complaints: list[str] = []
    waiting = iter(asked)

    async def some() -> None:
        for one in waiting:
            try:
                try:
                    await send(http, one)
                except httpx.RemoteProtocolError:
                    # The server may close a connection that was kept just as it is used again
                    # (RFC 9112, section 9.3.1); what breaks it breaks it again.
                    await send(http, one)
            except (AssertionError, TimeoutError, httpx.TransportError) as error:
                complaints.append(f"hung or broke: {type(error).__name__} {error}: {one}")
            else:
                complaints.extend(filter(None, [complaint(one)]))

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return complaints

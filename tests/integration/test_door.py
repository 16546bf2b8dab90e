"""Who may come in: Host and Origin headers as attackers and broken clients send them, and CORS."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from tests.whole_mesh import Mesh

FRONT = "https://front.example"


async def answered(mesh: Mesh, lines: bytes, path: str = "/chats") -> tuple[int, bytes, bytes]:
    """Status, head and body of the response to a request with just these header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", mesh.port)
    try:
        writer.write(b"GET %b HTTP/1.1\r\nConnection: close\r\n%b\r\n" % (path.encode(), lines))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    return int(head.split()[1]), head.lower(), body


@pytest.mark.parametrize("path", ["/chats", "/v1/models"])
@pytest.mark.parametrize(
    "host", [b"[", b"[::1", b"\xff", b"evil@127.0.0.1", b"localhost:abc", b"127.0.0.1/x", b"a b"]
)
async def test_a_host_that_is_none_is_refused(mesh: Mesh, host: bytes, path: str) -> None:
    status, head, body = await answered(mesh, b"Host: %b\r\n" % host, path)
    assert status == 400, (head, body)
    if body:  # the HTTP server itself turns some of them away
        assert b"x-request-id" in head
        error = msgspec.json.decode(body)
        assert (error["error"] if path.startswith("/v1/") else error)["code"] == "bad_request"


async def test_a_request_without_a_host_is_refused(mesh: Mesh) -> None:
    status, _, body = await answered(mesh, b"")
    assert (status, msgspec.json.decode(body)["code"]) == (400, "bad_request")


async def test_two_hosts_are_refused(mesh: Mesh) -> None:
    status, _, body = await answered(mesh, b"Host: evil.example\r\nHost: 127.0.0.1\r\n")
    assert status == 400 and b"one Host" in body


@pytest.mark.parametrize("origin", [b"http://[", b"null", b"\xff", b"//127.0.0.1", b"file://"])
async def test_an_origin_that_is_none_is_foreign(mesh: Mesh, origin: bytes) -> None:
    lines = b"Host: 127.0.0.1:%d\r\nOrigin: %b\r\n" % (mesh.port, origin)
    status, head, body = await answered(mesh, lines)
    assert (status, msgspec.json.decode(body)["code"]) == (403, "forbidden")
    assert b"x-request-id" in head


async def test_what_another_sites_page_embeds_is_refused_and_its_links_are_not(mesh: Mesh) -> None:
    path = "/auth/callback/debug?code=embedded"
    host = b"Host: 127.0.0.1:%d\r\nSec-Fetch-Site: cross-site\r\n" % mesh.port
    status, _, body = await answered(mesh, host + b"Sec-Fetch-Mode: no-cors\r\n", path)
    assert (status, msgspec.json.decode(body)["code"]) == (403, "forbidden")
    assert (await answered(mesh, host + b"Sec-Fetch-Mode: navigate\r\n", path))[0] == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "LocalHost:{port}", "[::1]:{port}"])
async def test_loopback_names_are_ours(mesh: Mesh, host: str) -> None:
    lines = f"Host: {host.format(port=mesh.port)}\r\n".encode()
    assert (await answered(mesh, lines, "/auth/providers"))[0] == 200


async def test_pages_of_allowed_origins_may_call(new_mesh: Callable[..., Mesh]) -> None:
    mesh = new_mesh(allowed_origins=FRONT)
    mesh.start("gateway")
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "refresh"}
    async with mesh.anonymous(headers={"Origin": FRONT}) as page:
        preflight = await page.options("/chats", headers=wish)
        assert preflight.status_code == 204 and not preflight.content
        assert preflight.headers["access-control-allow-origin"] == FRONT
        methods = listed(preflight.headers["access-control-allow-methods"])
        assert methods == {"GET", "POST", "PUT", "DELETE"}
        assert {
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "Last-Event-ID",
            "Refresh",
            "Traceparent",
            "Tracestate",
            "X-Priority",
        } == listed(preflight.headers["access-control-allow-headers"])
        assert int(preflight.headers["access-control-max-age"]) > 0
        response = await page.get("/auth/providers")
        assert response.headers["access-control-allow-origin"] == FRONT
        assert response.headers["vary"] == "Origin"
        exposed = listed(response.headers["access-control-expose-headers"])
        assert exposed >= {"X-Request-Id", "Retry-After", "x-ratelimit-remaining-requests"}
        foreign = await page.options("/chats", headers=wish | {"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert "access-control-allow-origin" not in foreign.headers


def listed(header: str) -> set[str]:
    return {part.strip() for part in header.split(",")}

"""Serves the page at `/`: its files as they lie in `page/`, compressed once, under a strict policy.

Knows nothing of what the page does: that speaks to the same routes as every other client.
"""

import gzip
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from litestar import Response, get
from litestar.params import FromPath

from mesh.gateway.errors import AnyRequest
from mesh.protocol.errors import ErrorCode, MeshError

START = "index.html"

KINDS = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
"""What is served, by the ending of its name."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Content Security Policy Level 3: this gateway's own files and nothing else; no text becomes
markup, a script or a style, whatever an answer says."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
"""no-cache: a browser keeps a file and asks whether it is still the same, by its ETag."""


class PageFile(NamedTuple):
    """One file of the page. etag: of its content, in quotes."""

    kind: str
    plain: bytes
    packed: bytes
    etag: str


@lru_cache(maxsize=1)
def page_files() -> dict[str, PageFile]:
    """Every file of the page by name, read from the package at the first request."""
    found = {}
    for entry in files("mesh.gateway").joinpath("page").iterdir():
        kind = KINDS.get(entry.name.rpartition(".")[2])
        if kind is not None:
            plain = entry.read_bytes()
            etag = f'"{sha256(plain).hexdigest()[:16]}"'
            found[entry.name] = PageFile(kind, plain, gzip.compress(plain, mtime=0), etag)
    return found


@get("/", public=True)
async def index(request: AnyRequest) -> Response[bytes]:
    """The page: chats and the mesh, for a browser."""
    return served(request, START)


@get("/page/{name:str}", public=True)
async def page_file(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """A file of the page."""
    return served(request, name)


def served(request: AnyRequest, name: str) -> Response[bytes]:
    """A file, packed for those who can unpack it; 304 for those who have it."""
    file = page_files().get(name)
    if file is None:
        raise MeshError(ErrorCode.NOT_FOUND, "The page has no such file.")
    headers = HEADERS | {"ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(b"", status_code=304, headers=headers)
    body = file.plain
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = file.packed, "gzip"
    return Response(body, media_type=file.kind, headers=headers)

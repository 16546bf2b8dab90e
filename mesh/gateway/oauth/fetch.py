"""Speaks HTTP with a site: bounded in time and size, and every failure is a sentence."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds for each answer of a site."""
LARGEST = 1 << 20
"""Bytes of an answer."""

STRANGER = ("invalid_client", "unauthorized_client", "incorrect_client_credentials")
"""What a site calls a mesh that it does not know, or that has another secret: RFC 6749, section
5.2, and the last one GitHub."""


class _Refusal(Struct):
    error: str = ""


@asynccontextmanager
async def http_client() -> AsyncIterator[httpx.AsyncClient]:
    """A connection for one sign-in. Raises MeshError (provider_unavailable) for what goes wrong."""
    headers = {"Accept": "application/json", "User-Agent": "inference-mesh"}
    async with httpx.AsyncClient(timeout=PATIENCE, headers=headers) as http:
        try:
            yield http
        except httpx.HTTPError as error:
            raise unavailable(f"{type(error).__name__}") from error


async def get(http: httpx.AsyncClient, url: str, kind: type[T], token: str = "") -> T:
    """The JSON under an address, asked for with an access token if there is one. As `answer`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await answer(http, http.build_request("GET", url, headers=headers), kind)


async def answer(
    http: httpx.AsyncClient, request: httpx.Request, kind: type[T], auth: Any = None
) -> T:
    """The JSON of an answer. Raises MeshError: invalid_token for a 4xx, provider_unavailable, also
    where the site refuses the mesh and not the person."""
    response = await http.send(request, auth=auth, stream=True)
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            await response.aclose()
            raise unavailable("an answer without end")
    await response.aclose()
    _check_known(request.url, body)
    if 400 <= response.status_code < 500:
        raise MeshError(ErrorCode.INVALID_TOKEN, "The site did not accept this sign-in; try again.")
    if response.status_code != 200:
        raise unavailable(f"status {response.status_code}")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:  # which is raised of what nests deeply
        raise unavailable("an answer that is not what it should be") from error


def _check_known(url: httpx.URL, body: bytes) -> None:
    """Raise MeshError if a site refuses the mesh itself; GitHub does so with status 200."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, RecursionError):
        return
    if error in STRANGER:
        log.error("%s says %s; check the client id and secret that are set for it", url.host, error)
        raise MeshError(
            ErrorCode.PROVIDER_UNAVAILABLE,
            f"The site does not know this mesh ({error}); whoever runs it has to check the client "
            "id and secret that are set for the site.",
        )


def unavailable(what: str) -> MeshError:
    return MeshError(
        ErrorCode.PROVIDER_UNAVAILABLE,
        f"The site to sign in through does not work now ({what}); try again in a while.",
        retry_after=10.0,
    )

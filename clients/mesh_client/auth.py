"""Signing requests, and signing in anew when a token has run out: one flow for sync and async.

It is written against httpx's `Auth`, whose flow is a generator without I/O: it yields requests
and is sent their responses.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator

import httpx

from mesh_client import calls
from mesh_client.credentials import Credentials, CredentialStore
from mesh_client.errors import NotSignedIn, Rejected, rejection
from mesh_client.objects import Renewed, TokenPair

Flow = Generator[httpx.Request, httpx.Response, None]

Renewing = Generator[httpx.Request, httpx.Response, Credentials | None]

_NO = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND)
"""How a gateway says that it lets nobody in by these tokens, or by name alone."""

WAY_IN = "`mesh login`, or set MESH_TOKEN to a key."


class Given(httpx.Auth):
    """Sends the token that it was given, a key for instance, and has no other."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class Renewal(httpx.Auth):
    """Sends the access token; on a refusal refreshes it, or signs in again, and asks once more.

    `username` is who to sign in as, "": whoever is signed in, or where nobody is, `newcomer`.
    Raises NotSignedIn where no way leads in.

    Of many requests at once that are refused one signs in anew, and the others take what it was
    given: a token to refresh by is good for one use, and many sign-ins are work for nothing.
    """

    def __init__(self, store: CredentialStore, username: str = "", newcomer: str = "") -> None:
        self._store = store
        self._username = username
        self._newcomer = newcomer
        self._turn, self._async_turn = threading.Lock(), asyncio.Lock()

    def _signed(self, request: httpx.Request) -> Credentials | None:
        """By what the request is signed now."""
        sent = self._kept()
        _sign(request, sent)
        return sent

    def _sign_anew(
        self, request: httpx.Request, refusal: httpx.Response, sent: Credentials | None
    ) -> Flow:
        """Sign what was refused, by other credentials."""
        renewed = yield from self._renew(request.url, sent)
        if renewed is None:
            raise _no_way_in(refusal, sent, self._username)
        _sign(request, renewed)

    def _kept(self) -> Credentials | None:
        """The sign-in that is kept, unless it is another user's."""
        kept = self._store.load()
        other = kept is not None and self._username not in ("", kept.username)
        return None if other else kept

    def _renew(self, url: httpx.URL, sent: Credentials | None) -> Renewing:
        """New credentials: what another process has saved, else by refresh, else by login.

        None where the gateway lets nobody in by these. Raises Rejected where it does not tell.
        """
        kept = self._kept()
        if kept is not None and kept != sent:
            return kept
        renewed = None
        if kept is not None and kept.refresh_token:
            renewed = yield from self._refresh(url, kept)
        username = kept.username if kept is not None else self._username or self._newcomer
        by_name = kept is None or kept.by_name  # never as another who has the same name
        if renewed is None and username and by_name:
            renewed = yield from self._login(url, username)
        if renewed is not None:
            self._store.save(renewed)
        return renewed

    def _refresh(self, url: httpx.URL, kept: Credentials) -> Renewing:
        call = calls.refresh(kept.refresh_token)
        response = yield _request(url, call)
        if not _lets_in(response):
            return None
        renewed = call.read(response.content)
        following = renewed.refresh_token
        return Credentials(
            username=kept.username,
            access_token=renewed.access_token,
            refresh_token=following.access_token if following else kept.refresh_token,
            by_name=kept.by_name,
        )

    def _login(self, url: httpx.URL, username: str) -> Renewing:
        call = calls.login(username)
        response = yield _request(url, call)
        if not _lets_in(response):
            return None
        return credentials(username, call.read(response.content))

    # httpx reads either every response's body or none; a stream's must be left alone.

    def sync_auth_flow(self, request: httpx.Request) -> Flow:
        sent = self._signed(request)
        refusal = yield request
        if not _asks_for_sign_in(refusal, signed=sent is not None):
            return
        refusal.read()
        with self._turn:
            flow = self._sign_anew(request, refusal, sent)
            outgoing = next(flow, None)
            while outgoing is not None:
                response = yield outgoing
                response.read()
                outgoing = _sent(flow, response)
        yield request

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        sent = self._signed(request)
        refusal = yield request
        if not _asks_for_sign_in(refusal, signed=sent is not None):
            return
        await refusal.aread()
        async with self._async_turn:
            flow = self._sign_anew(request, refusal, sent)
            outgoing = next(flow, None)
            while outgoing is not None:
                response = yield outgoing
                await response.aread()
                outgoing = _sent(flow, response)
        yield request


def signing(store: CredentialStore, username: str, token: str, newcomer: str = "") -> httpx.Auth:
    """How requests are signed: with a token where there is one, else as a user who signs in."""
    return Given(token) if token else Renewal(store, username, newcomer)


def credentials(username: str, pair: TokenPair, *, by_name: bool = True) -> Credentials:
    """What is kept of a login."""
    return Credentials(
        username=username,
        access_token=pair.access_token.access_token,
        refresh_token=pair.refresh_token.access_token,
        by_name=by_name,
    )


def _sign(request: httpx.Request, credentials: Credentials | None) -> None:
    if credentials is not None:
        request.headers["Authorization"] = f"Bearer {credentials.access_token}"


def _lets_in(response: httpx.Response) -> bool:
    """Whether a sign-in was accepted. Raises Rejected for what is no answer to that."""
    if response.is_error and response.status_code not in _NO:
        raise _rejection(response)
    return response.status_code == httpx.codes.OK


def _no_way_in(response: httpx.Response, sent: Credentials | None, username: str) -> NotSignedIn:
    """What the gateway said to the request itself, and what a person can do about it."""
    said = _rejection(response)
    if sent is None:
        who = f"{username} is not" if username else "Nobody is"
        sentence = f"{who} signed in at this gateway: run {WAY_IN}"
    else:
        sentence = f"{said.sentence} Run {WAY_IN}"
    return NotSignedIn(sentence, status=said.status, code=said.code, request_id=said.request_id)


def _rejection(response: httpx.Response) -> Rejected:
    return rejection(response.status_code, response.headers, response.content)


def _asks_for_sign_in(response: httpx.Response, *, signed: bool) -> bool:
    """401 always; 403 when no token was sent, which is how some gateways say "not signed in"."""
    status = response.status_code
    return status == httpx.codes.UNAUTHORIZED or (status == httpx.codes.FORBIDDEN and not signed)


def _sent(flow: Flow, response: httpx.Response) -> httpx.Request | None:
    """What a flow asks next after a response; None: it is through."""
    try:
        return flow.send(response)
    except StopIteration:
        return None


def _request(url: httpx.URL, call: calls.Call[TokenPair] | calls.Call[Renewed]) -> httpx.Request:
    """A request to the same gateway."""
    target = url.copy_with(path=call.path, query=None)
    return httpx.Request(call.method, target, params=call.params, headers=call.headers)

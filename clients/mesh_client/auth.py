"""Signing requests, and signing in anew when a token has run out: one flow for sync and async.

It is written against httpx's `Auth`, whose flow is a generator without I/O: it yields requests
and is sent their responses.
"""

from collections.abc import AsyncGenerator, Generator

import httpx

from mesh_client import calls
from mesh_client.credentials import Credentials, CredentialStore
from mesh_client.objects import Renewed, TokenPair

Flow = Generator[httpx.Request, httpx.Response, None]


class Given(httpx.Auth):
    """Sends the token that it was given, a key for instance, and has no other."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class Renewal(httpx.Auth):
    """Sends the access token; on a refusal refreshes it, or signs in again, and asks once more.

    `username` is who to sign in as, "": whoever is signed in, and nobody without a login.
    """

    def __init__(self, store: CredentialStore, username: str = "") -> None:
        self._store = store
        self._username = username

    def auth_flow(self, request: httpx.Request) -> Flow:
        sent = self._kept()
        _sign(request, sent)
        response = yield request
        if not _asks_for_sign_in(response, signed=sent is not None):
            return
        renewed = yield from self._renew(request.url, sent)
        if renewed is not None:
            _sign(request, renewed)
            yield request

    def _kept(self) -> Credentials | None:
        """The sign-in that is kept, unless it is another user's."""
        kept = self._store.load()
        other = kept is not None and self._username not in ("", kept.username)
        return None if other else kept

    def _renew(
        self, url: httpx.URL, sent: Credentials | None
    ) -> Generator[httpx.Request, httpx.Response, Credentials | None]:
        """New credentials: what another process has saved, else by refresh, else by login."""
        kept = self._kept()
        if kept is not None and kept != sent:
            return kept
        renewed = None
        if kept is not None:
            renewed = yield from self._refresh(url, kept)
        username = kept.username if kept is not None else self._username
        by_name = kept is None or kept.by_name  # never as another who has the same name
        if renewed is None and username and by_name:
            renewed = yield from self._login(url, username)
        if renewed is not None:
            self._store.save(renewed)
        return renewed

    def _refresh(
        self, url: httpx.URL, kept: Credentials
    ) -> Generator[httpx.Request, httpx.Response, Credentials | None]:
        call = calls.refresh(kept.refresh_token)
        response = yield _request(url, call)
        if response.status_code != httpx.codes.OK:
            return None
        renewed = call.read(response.content)
        following = renewed.refresh_token
        return Credentials(
            username=kept.username,
            access_token=renewed.access_token,
            refresh_token=following.access_token if following else kept.refresh_token,
            by_name=kept.by_name,
        )

    def _login(
        self, url: httpx.URL, username: str
    ) -> Generator[httpx.Request, httpx.Response, Credentials | None]:
        call = calls.login(username)
        response = yield _request(url, call)
        if response.status_code != httpx.codes.OK:
            return None
        return credentials(username, call.read(response.content))

    # httpx reads either every response's body or none; a stream's must be left alone.

    def sync_auth_flow(self, request: httpx.Request) -> Flow:
        flow = self.auth_flow(request)
        outgoing = next(flow)
        while True:
            response = yield outgoing
            if _body_matters(request, outgoing, response):
                response.read()
            try:
                outgoing = flow.send(response)
            except StopIteration:
                return

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        flow = self.auth_flow(request)
        outgoing = next(flow)
        while True:
            response = yield outgoing
            if _body_matters(request, outgoing, response):
                await response.aread()
            try:
                outgoing = flow.send(response)
            except StopIteration:
                return


def signing(store: CredentialStore, username: str, token: str) -> httpx.Auth:
    """How requests are signed: with a token where there is one, else as a user who signs in."""
    return Given(token) if token else Renewal(store, username)


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


def _asks_for_sign_in(response: httpx.Response, *, signed: bool) -> bool:
    """401 always; 403 when no token was sent, which is how some gateways say "not signed in"."""
    status = response.status_code
    return status == httpx.codes.UNAUTHORIZED or (status == httpx.codes.FORBIDDEN and not signed)


def _body_matters(
    request: httpx.Request, outgoing: httpx.Request, response: httpx.Response
) -> bool:
    return outgoing is not request or response.status_code >= 400


def _request(url: httpx.URL, call: calls.Call[TokenPair] | calls.Call[Renewed]) -> httpx.Request:
    """A request to the same gateway."""
    target = url.copy_with(path=call.path, query=None)
    return httpx.Request(call.method, target, params=call.params, headers=call.headers)

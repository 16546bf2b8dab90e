"""Signing requests, and signing in anew when a token has run out: one flow for sync and async.

It is written against httpx's `Auth`, whose flow is a generator without I/O: it yields requests
and is sent their responses. Ours yields flights of others, too (`turns`), and goes on once they
have landed; so it does with other processes (`locks`). Its end, also by being closed in the middle,
gives its own turn back.
"""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from typing import NamedTuple, TypeVar

import httpx

from mesh_client import calls
from mesh_client.credentials import Credentials, CredentialStore, FileStore
from mesh_client.errors import NotSignedIn, Rejected, rejection
from mesh_client.locks import PAUSE, Moment
from mesh_client.objects import Renewed, TokenPair
from mesh_client.turns import PATIENCE, Flight, turns_of

R = TypeVar("R")

Flow = Generator[httpx.Request, httpx.Response, None]


class Waiting(NamedTuple):
    """That somebody else's flight lands, or a moment passes, at most until then
    (`time.monotonic`)."""

    flight: Flight | Moment
    until: float


Steps = Generator[httpx.Request | Waiting, httpx.Response | None, R]
"""What is to be done, one after the other. Sent: the response to a request, None after a wait."""

Renewing = Steps[Credentials | None]

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
    """

    def __init__(self, store: CredentialStore, username: str = "", newcomer: str = "") -> None:
        self._store = store
        self._turns = turns_of(store)
        self._username = username
        self._newcomer = newcomer

    def _steps(self, request: httpx.Request) -> Steps[None]:
        sent = self._kept()
        _sign(request, sent)
        response = yield from _answered(request)
        if not _asks_for_sign_in(response, signed=sent is not None):
            return
        renewed = yield from self._renewed(request, sent)
        if renewed is None:
            raise _no_way_in(response, sent, self._username)
        _sign(request, renewed)
        yield request

    def _renewed(self, request: httpx.Request, sent: Credentials | None) -> Renewing:
        """New credentials, of one's own asking or of who was about to ask for them already.

        None where the gateway lets nobody in by these.
        """
        tried, until = (self._username or self._newcomer, sent), time.monotonic() + PATIENCE
        flight, own = self._turns.take()
        while not own:
            yield Waiting(flight, until)
            if flight.refused == tried:
                return None
            in_vain = not flight.landed or time.monotonic() >= until
            flight, own = self._turns.take(alone=in_vain)
        lock = self._store.lock() if isinstance(self._store, FileStore) else None
        try:
            while lock is not None and not lock.take() and time.monotonic() < until:
                yield Waiting(Moment(), time.monotonic() + PAUSE)
            renewed = yield from self._renew(request, sent)
            if renewed is None:
                flight.refused = tried
            return renewed
        finally:
            if lock is not None:
                lock.let_go()
            self._turns.give_back(flight)

    def _kept(self) -> Credentials | None:
        """The sign-in that is kept, unless it is another user's."""
        kept = self._store.load()
        other = kept is not None and self._username not in ("", kept.username)
        return None if other else kept

    def _renew(self, request: httpx.Request, sent: Credentials | None) -> Renewing:
        """New credentials: what somebody else has saved, else by refresh, else by login.

        None where the gateway lets nobody in by these. Raises Rejected where it does not tell.
        """
        kept = self._kept()
        if kept is not None and kept != sent:
            return kept
        renewed = None
        if kept is not None and kept.refresh_token:
            renewed = yield from self._refresh(request, kept)
        username = kept.username if kept is not None else self._username or self._newcomer
        by_name = kept is None or kept.by_name  # never as another who has the same name
        if renewed is None and username and by_name:
            renewed = yield from self._login(request, username)
        if renewed is not None:
            self._store.save(renewed)
        return renewed

    def _refresh(self, request: httpx.Request, kept: Credentials) -> Renewing:
        call = calls.refresh(kept.refresh_token)
        response = yield from _answered(_request(request, call))
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

    def _login(self, request: httpx.Request, username: str) -> Renewing:
        call = calls.login(username)
        response = yield from _answered(_request(request, call))
        if not _lets_in(response):
            return None
        return credentials(username, call.read(response.content))

    # httpx reads either every response's body or none; a stream's must be left alone.

    def sync_auth_flow(self, request: httpx.Request) -> Flow:
        with closing(self._steps(request)) as steps:
            step = next(steps)
            while True:
                response: httpx.Response | None = None
                if isinstance(step, Waiting):
                    step.flight.block(step.until)
                else:
                    response = yield step
                    if _body_matters(request, step, response):
                        response.read()
                try:
                    step = steps.send(response)
                except StopIteration:
                    return

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        with closing(self._steps(request)) as steps:
            step = next(steps)
            while True:
                response: httpx.Response | None = None
                if isinstance(step, Waiting):
                    await step.flight.awaited(step.until)
                else:
                    response = yield step
                    if _body_matters(request, step, response):
                        await response.aread()
                try:
                    step = steps.send(response)
                except StopIteration:
                    return


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
    """401 always; 403 when no token was sent, which is how gateways say "not signed in"."""
    status = response.status_code
    return status == httpx.codes.UNAUTHORIZED or (status == httpx.codes.FORBIDDEN and not signed)


def _body_matters(
    request: httpx.Request, outgoing: httpx.Request, response: httpx.Response
) -> bool:
    return outgoing is not request or response.status_code >= 400


def _answered(request: httpx.Request) -> Steps[httpx.Response]:
    """The response to a request."""
    response = yield request
    assert response is not None, "only a wait is answered with nothing"
    return response


def _request(
    request: httpx.Request, call: calls.Call[TokenPair] | calls.Call[Renewed]
) -> httpx.Request:
    """A request to the gateway that another one goes to, as patient as that: others wait for it."""
    target = request.url.copy_with(path=call.path, query=None)
    patience = {"timeout": request.extensions.get("timeout", {})}
    return httpx.Request(
        call.method, target, params=call.params, headers=call.headers, extensions=patience
    )

"""Asks a site: where its doors are, and, with a code that a browser brought, who somebody is."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec
from msgspec import Struct

from mesh.gateway.oauth import id_token
from mesh.gateway.oauth.attempt import Attempt
from mesh.gateway.oauth.id_token import Claims, UnknownKey
from mesh.gateway.oauth.identity import Identity
from mesh.gateway.oauth.providers import GITHUB, Provider, is_safe
from mesh.protocol.errors import ErrorCode, MeshError

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds for each answer of a site."""
LARGEST = 1 << 20
"""Bytes of an answer."""
KEEPS = 3600.0
"""Seconds for which a site's own description and its keys are believed."""
BASIC, POST = "client_secret_basic", "client_secret_post"


class Doors(Struct, frozen=True):
    """Where a site is asked, as its discovery document says or we know."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str = ""
    jwks_uri: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = (BASIC,)


class _Token(Struct):
    access_token: str = ""
    id_token: str = ""


class _GithubUser(Struct):
    id: int
    login: str
    name: str | None = None


class _GithubEmail(Struct):
    email: str
    primary: bool = False
    verified: bool = False


class _DiscordUser(Struct):
    id: str
    username: str
    global_name: str | None = None
    email: str | None = None
    verified: bool = False


class Site:
    """One provider. What it tells of itself is remembered for an hour."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._doors: tuple[Doors, float] | None = None
        self._keys: tuple[dict[str, Any], float] | None = None

    async def leave_to(self, attempt: Attempt, redirect_uri: str) -> str:
        """The address to send a browser to. Raises MeshError (provider_unavailable)."""
        async with _http() as http:
            doors = await self._open(http)
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.provider.scope,
            "state": attempt.state,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        if self.provider.kind == "oidc":
            asked["nonce"] = attempt.nonce
        joint = "&" if "?" in doors.authorization_endpoint else "?"
        return f"{doors.authorization_endpoint}{joint}{urlencode(asked)}"

    async def who(self, code: str, issuer: str, attempt: Attempt, redirect_uri: str) -> Identity:
        """Who the site says it is. issuer: what the browser brought of RFC 9207, or "".

        Raises MeshError: invalid_token, provider_unavailable.
        """
        async with _http() as http:
            doors = await self._open(http)
            if self.provider.kind == "oidc" and issuer not in ("", doors.issuer):
                raise MeshError(ErrorCode.INVALID_TOKEN, "This answer is another site's.")
            token = await self._exchange(http, doors, code, attempt, redirect_uri)
            match self.provider.kind:
                case "oidc":
                    return await self._by_id_token(http, doors, token, attempt.nonce)
                case "github":
                    return await self._by_github(http, doors, token)
                case "discord":
                    return await self._by_discord(http, doors, token)

    async def _open(self, http: httpx.AsyncClient) -> Doors:
        provider, now = self.provider, time.monotonic()
        if self._doors is None or self._doors[1] < now:
            found = _known(provider)
            if provider.kind == "oidc":
                url = f"{provider.url}/.well-known/openid-configuration"
                found = await _get(http, url, Doors)
                _check(provider, found)
            self._doors = found, now + KEEPS
        return self._doors[0]

    async def _exchange(
        self, http: httpx.AsyncClient, doors: Doors, code: str, attempt: Attempt, redirect_uri: str
    ) -> _Token:
        provider = self.provider
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
        }
        basic = POST not in doors.token_endpoint_auth_methods_supported
        if not basic:
            form |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
        auth = httpx.BasicAuth(provider.client_id, provider.client_secret) if basic else None
        request = http.build_request("POST", doors.token_endpoint, data=form)
        token = await _answer(http, request, _Token, auth)
        if not token.access_token:
            raise MeshError(ErrorCode.INVALID_TOKEN, f"{provider.name} did not accept the code.")
        return token

    async def _by_id_token(
        self, http: httpx.AsyncClient, doors: Doors, token: _Token, nonce: str
    ) -> Identity:
        provider = self.provider
        for again in (False, True):
            keys = await self._key_set(http, doors, again)
            try:
                who = id_token.read(token.id_token, keys, doors.issuer, provider.client_id, nonce)
                return await _named(http, doors, token, who)
            except UnknownKey:
                continue
        raise MeshError(
            ErrorCode.INVALID_TOKEN, "The site's ID token is signed with none of its keys."
        )

    async def _key_set(self, http: httpx.AsyncClient, doors: Doors, anew: bool) -> dict[str, Any]:
        now = time.monotonic()
        if anew or self._keys is None or self._keys[1] < now:
            self._keys = await _get(http, doors.jwks_uri, dict[str, Any]), now + KEEPS
        return self._keys[0]

    async def _by_github(self, http: httpx.AsyncClient, doors: Doors, token: _Token) -> Identity:
        user = await _get(http, doors.userinfo_endpoint, _GithubUser, token.access_token)
        url = f"{doors.userinfo_endpoint}/emails"
        emails = await _get(http, url, list[_GithubEmail], token.access_token)
        primary = [each.email for each in emails if each.primary and each.verified]
        return Identity(
            account=str(user.id),
            name=user.name or user.login,
            username=user.login,
            email=primary[0] if primary else "",
        )

    async def _by_discord(self, http: httpx.AsyncClient, doors: Doors, token: _Token) -> Identity:
        user = await _get(http, doors.userinfo_endpoint, _DiscordUser, token.access_token)
        return Identity(
            account=user.id,
            name=user.global_name or user.username,
            username=user.username,
            email=(user.email or "") if user.verified else "",
        )


def _known(provider: Provider) -> Doors:
    """The doors of the sites that do not tell them."""
    url = provider.url
    if provider.kind == "github":
        api = "https://api.github.com" if url == GITHUB else f"{url}/api/v3"
        door = f"{url}/login/oauth"
        return Doors(url, f"{door}/authorize", f"{door}/access_token", f"{api}/user", "", (POST,))
    api = f"{url}/api"
    return Doors(
        url, f"{url}/oauth2/authorize", f"{api}/oauth2/token", f"{api}/users/@me", "", (POST,)
    )


def _check(provider: Provider, found: Doors) -> None:
    """Raise MeshError unless a discovery document is the issuer's own, and its doors are safe."""
    doors = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
    if found.issuer.rstrip("/") != provider.url or not all(map(is_safe, doors)):
        raise MeshError(
            ErrorCode.PROVIDER_UNAVAILABLE,
            f"What {provider.url} says of itself is not to be trusted; check MESH_OIDC_ISSUER.",
        )


async def _named(http: httpx.AsyncClient, doors: Doors, token: _Token, who: Identity) -> Identity:
    """Somebody with a name and an address: from userinfo, where the ID token has neither.

    What it says counts only if it is about the same person (OpenID Connect Core, 5.3.2).
    """
    if who.email or not doors.userinfo_endpoint:
        return who
    claims = await _get(http, doors.userinfo_endpoint, Claims, token.access_token)
    return id_token.identity(claims) if claims.sub == who.account else who


@asynccontextmanager
async def _http() -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Accept": "application/json", "User-Agent": "inference-mesh"}
    async with httpx.AsyncClient(timeout=PATIENCE, headers=headers) as http:
        try:
            yield http
        except httpx.HTTPError as error:
            raise _unavailable(f"{type(error).__name__}") from error


async def _get(http: httpx.AsyncClient, url: str, kind: type[T], token: str = "") -> T:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await _answer(http, http.build_request("GET", url, headers=headers), kind)


async def _answer(
    http: httpx.AsyncClient, request: httpx.Request, kind: type[T], auth: Any = None
) -> T:
    """The JSON of an answer. Raises MeshError: invalid_token for a 4xx, provider_unavailable."""
    response = await http.send(request, auth=auth, stream=True)
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            await response.aclose()
            raise _unavailable("an answer without end")
    await response.aclose()
    if 400 <= response.status_code < 500:
        raise MeshError(ErrorCode.INVALID_TOKEN, "The site did not accept this sign-in; try again.")
    if response.status_code != 200:
        raise _unavailable(f"status {response.status_code}")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise _unavailable("an answer that is not what it should be") from error


def _unavailable(what: str) -> MeshError:
    return MeshError(
        ErrorCode.PROVIDER_UNAVAILABLE,
        f"The site to sign in through does not work now ({what}); try again in a while.",
        retry_after=10.0,
    )

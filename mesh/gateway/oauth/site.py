"""Asks a site: where its doors are, and, with a code that a browser brought, who somebody is."""

import time
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
from msgspec import Struct

from mesh.gateway.oauth import id_token
from mesh.gateway.oauth.attempt import Attempt
from mesh.gateway.oauth.fetch import answer, get, http_client
from mesh.gateway.oauth.id_token import UnknownKey
from mesh.gateway.oauth.identity import Identity
from mesh.gateway.oauth.people import by_discord, by_github, with_userinfo
from mesh.gateway.oauth.providers import GITHUB, Provider, is_safe
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.hidden import without_userinfo

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


class Site:
    """One provider. What it tells of itself is remembered for an hour."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._doors: tuple[Doors, float] | None = None
        self._keys: tuple[dict[str, Any], float] | None = None

    async def leave_to(self, attempt: Attempt, redirect_uri: str) -> str:
        """The address to send a browser to. Raises MeshError (provider_unavailable)."""
        async with http_client() as http:
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
        async with http_client() as http:
            doors = await self._open(http)
            if self.provider.kind == "oidc" and issuer not in ("", doors.issuer):
                raise MeshError(ErrorCode.INVALID_TOKEN, "This answer is another site's.")
            token = await self._exchange(http, doors, code, attempt, redirect_uri)
            match self.provider.kind:
                case "oidc":
                    return await self._by_id_token(http, doors, token, attempt.nonce)
                case "github":
                    return await by_github(http, doors.userinfo_endpoint, token.access_token)
                case "discord":
                    return await by_discord(http, doors.userinfo_endpoint, token.access_token)

    async def _open(self, http: httpx.AsyncClient) -> Doors:
        provider, now = self.provider, time.monotonic()
        if self._doors is None or self._doors[1] < now:
            found = _known(provider)
            if provider.kind == "oidc":
                url = f"{provider.url}/.well-known/openid-configuration"
                found = await get(http, url, Doors)
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
        # Both encoded as in a form (RFC 6749, section 2.3.1).
        given = quote_plus(provider.client_id), quote_plus(provider.client_secret)
        auth = httpx.BasicAuth(*given) if basic else None
        request = http.build_request("POST", doors.token_endpoint, data=form)
        token = await answer(http, request, _Token, auth)
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
                return await with_userinfo(http, doors.userinfo_endpoint, token.access_token, who)
            except UnknownKey:
                continue
        raise MeshError(
            ErrorCode.INVALID_TOKEN, "The site's ID token is signed with none of its keys."
        )

    async def _key_set(self, http: httpx.AsyncClient, doors: Doors, anew: bool) -> dict[str, Any]:
        now = time.monotonic()
        if anew or self._keys is None or self._keys[1] < now:
            self._keys = await get(http, doors.jwks_uri, dict[str, Any]), now + KEEPS
        return self._keys[0]


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
    doors = [found.authorization_endpoint, found.token_endpoint, found.jwks_uri]
    if found.userinfo_endpoint:
        doors.append(found.userinfo_endpoint)
    if found.issuer.rstrip("/") != provider.url or not all(map(is_safe, doors)):
        raise MeshError(
            ErrorCode.PROVIDER_UNAVAILABLE,
            f"What {without_userinfo(provider.url)} says of itself is not to be trusted; check "
            "MESH_OIDC_ISSUER.",
        )

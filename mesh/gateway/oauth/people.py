"""Asks a site, with an access token, who somebody is: each has its own shape for it."""

import httpx
from msgspec import Struct

from mesh.gateway.oauth import id_token
from mesh.gateway.oauth.fetch import get
from mesh.gateway.oauth.id_token import Claims
from mesh.gateway.oauth.identity import Identity


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


async def by_github(http: httpx.AsyncClient, userinfo: str, token: str) -> Identity:
    """userinfo: the address of "Get the authenticated user" of GitHub's REST API. As `answer`."""
    user = await get(http, userinfo, _GithubUser, token)
    url = f"{userinfo}/emails"
    emails = await get(http, url, list[_GithubEmail], token)
    primary = [each.email for each in emails if each.primary and each.verified]
    return Identity(
        account=str(user.id),
        name=user.name or user.login,
        username=user.login,
        email=primary[0] if primary else "",
    )


async def by_discord(http: httpx.AsyncClient, userinfo: str, token: str) -> Identity:
    """userinfo: the address of "Get Current User" of Discord's API. Raises as `answer`."""
    user = await get(http, userinfo, _DiscordUser, token)
    return Identity(
        account=user.id,
        name=user.global_name or user.username,
        username=user.username,
        email=(user.email or "") if user.verified else "",
    )


async def with_userinfo(
    http: httpx.AsyncClient, userinfo: str, token: str, who: Identity
) -> Identity:
    """Somebody with a name and an address: from userinfo, where the ID token has neither.

    What it says counts only if it is about the same person (OpenID Connect Core, 5.3.2).
    """
    if who.email or not userinfo:
        return who
    claims = await get(http, userinfo, Claims, token)
    return id_token.identity(claims) if claims.sub == who.account else who

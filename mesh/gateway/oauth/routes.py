"""`/auth/login/{provider}` and `/auth/callback/{provider}`: out to another site, and back in."""

import re
from typing import Annotated

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from mesh.gateway import sessions
from mesh.gateway.errors import AnyRequest
from mesh.gateway.names import cleaned
from mesh.gateway.oauth.attempt import LASTS, Attempt
from mesh.gateway.oauth.identity import Identity, is_welcome
from mesh.gateway.oauth.providers import Provider
from mesh.gateway.oauth.site import Site
from mesh.gateway.services import Services, Wired
from mesh.gateway.sessions import NOT_KEPT, Renewed, TokenPair
from mesh.protocol.accounts import SignIn, User
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.hidden import without_userinfo

ATTEMPT, TICKET = "mesh_login", "mesh_ticket"
BACK = "/auth/callback"
REDEEM = "/auth/ticket"
TICKET_LASTS = 60

NO_TICKET = "Nobody has just come back here from signing in; begin at GET /auth/login/{provider}."
_SAID = re.compile(r"[a-z_]{1,40}")

State = Annotated[str, QueryParameter(name="state")]


@get("/auth/login/{provider:str}", public=True, redirects=True)
async def provider_login(request: AnyRequest, services: Wired, provider: FromPath[str]) -> Redirect:
    """Send a browser to another site, to sign in there and come back."""
    site = _site(services, provider)
    attempt = Attempt(_key(services), provider)
    url = await site.leave_to(attempt, _redirect_uri(services, request, provider))
    cookie = _cookie(services, request, ATTEMPT, attempt.cookie, BACK, LASTS)
    return Redirect(url, status_code=302, cookies=[cookie], headers=NOT_KEPT)


@get(
    "/auth/callback/{provider:str}",
    public=True,
    reply=TokenPair,
    also={303: "A browser is sent on to the page."},
)
async def provider_callback(
    request: AnyRequest,
    services: Wired,
    provider: FromPath[str],
    code: FromQuery[str] = "",
    state_: State = "",
    error: FromQuery[str] = "",
    iss: FromQuery[str] = "",
) -> Response[TokenPair] | Redirect:
    """Come back from another site: an access and a refresh token.

    A browser that navigates here is sent on to the page, which fetches them by `POST /auth/ticket`.
    """
    site = _site(services, provider)
    cookie = request.cookies.get(ATTEMPT, "")
    attempt = Attempt.back(_key(services), provider, cookie, state_)
    if error or not code:
        said = error if _SAID.fullmatch(error) else "no code"
        raise MeshError(ErrorCode.INVALID_TOKEN, f"{provider} did not let you in: {said}.")
    who = await site.who(code, iss, attempt, _redirect_uri(services, request, provider))
    pair = await sessions.begin(services, await _user(services, site.provider, who))
    spent = _cookie(services, request, ATTEMPT, "", BACK, 0)
    if "text/html" not in request.headers.get("accept", ""):
        return Response(pair, cookies=[spent], headers=NOT_KEPT)
    token = pair.refresh_token.access_token
    ticket = _cookie(services, request, TICKET, token, REDEEM, TICKET_LASTS)
    return Redirect("/#/signed-in", status_code=303, cookies=[spent, ticket], headers=NOT_KEPT)


@post(REDEEM, status_code=200, public=True)
async def ticket(request: AnyRequest, services: Wired) -> Response[Renewed]:
    """The tokens of a browser that has just come back; its cookie is good for this once."""
    token = request.cookies.get(TICKET, "")
    if not token:
        raise MeshError(ErrorCode.NOT_AUTHENTICATED, NO_TICKET)
    renewed = await sessions.renew(services, token)
    spent = _cookie(services, request, TICKET, "", REDEEM, 0)
    return Response(renewed, cookies=[spent], headers=NOT_KEPT)


async def _user(services: Services, provider: Provider, who: Identity) -> User:
    """The user of somebody from another site. Raises MeshError (forbidden) for strangers."""
    welcome = is_welcome(provider.name, who, services.settings.oauth_allow)
    query = SignIn(
        provider=provider.name,
        account=who.account,
        display_name=cleaned(who.name, who.account),
        known_only=not welcome,
        issuer=without_userinfo(provider.url),
    )
    try:
        return await services.store.ask(query)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise MeshError(
            ErrorCode.FORBIDDEN,
            f"You have no account here. Ask an admin to let you in: at {provider.name} you are "
            f"number {who.account}.",
        ) from None


def _site(services: Services, provider: str) -> Site:
    site = services.sites.get(provider)
    if site is None:
        raise MeshError(ErrorCode.NOT_FOUND, "Nobody can sign in here by that way.")
    return site


def _key(services: Services) -> bytes:
    return services.tokens.derive("oauth")


def _base(services: Services, request: AnyRequest) -> str:
    """This gateway's address, as browsers know it."""
    public = services.settings.public_url.rstrip("/")
    return public or f"{request.scope['scheme']}://{request.headers.get('host', '')}"


def _redirect_uri(services: Services, request: AnyRequest, provider: str) -> str:
    return f"{_base(services, request)}{BACK}/{provider}"


def _cookie(
    services: Services, request: AnyRequest, name: str, value: str, path: str, lasts: int
) -> Cookie:
    """A cookie that no script reads; Lax where it has to survive the way back from the site."""
    return Cookie(
        key=name,
        value=value,
        path=path,
        max_age=lasts,
        httponly=True,
        secure=_base(services, request).startswith("https://"),
        samesite="lax" if name == ATTEMPT else "strict",
    )

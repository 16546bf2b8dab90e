"""Says who asks: by an access token, a key, or as the guest; and whether they may ask for this.

What a trusted client says of its users is looked up before (`trusted.py`).
"""

from msgspec.structs import replace

from mesh.gateway import access
from mesh.gateway.accounts import Accounts
from mesh.gateway.door import Rules
from mesh.gateway.errors import AnyRequest
from mesh.gateway.tokens import GUEST, Principal, Tokens
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.keys import looks_like_key
from mesh.protocol.subjects import LANES

FORWARDED = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
)
"""What proxies add to a request: any of them alone says that there is one."""

PRIORITY = "x-priority"
"""The header that says with which priority something is asked."""

IN_PERSON = (
    "Neither a key nor a trusted client makes keys or lifts their limits, lets a worker in, or "
    "gives anybody a password or a role: sign in, and send the access token."
)
"""What may not be done with a key, be it a trusted client's, lest it outlive itself."""

TRUSTED, PRINCIPAL = "trusted", "principal"
"""Where a request keeps whom a trusted client speaks for, and who asks."""


class Doorman:
    """Asks nobody: signatures and the gateway's own copy of the accounts are enough."""

    def __init__(self, tokens: Tokens, accounts: Accounts, rules: Rules) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._rules = rules

    def admit(self, request: AnyRequest) -> None:
        """Turn away, before its handler sees it, whoever may not ask for this at all.

        Every route is guarded so, save those that say that they are public. Raises as `principal`.
        """
        if request.method != "OPTIONS" and not request.route_handler.opt.get("public"):
            self.principal(request)

    def principal(self, request: AnyRequest) -> Principal:
        """The signed-in user, or the guest where guests are allowed.

        Raises MeshError: not_authenticated, invalid_token, token_expired, forbidden.
        """
        state = request.scope["state"]
        known: Principal | None = state.get(PRINCIPAL)
        if known is None:
            known = state[PRINCIPAL] = _urgent(self._who(request), request)
            access.check(request.scope["path"], known)
        return known

    def signed_in(self, request: AnyRequest) -> Principal:
        """The signed-in user; guests are not enough. Raises MeshError as `principal`."""
        principal = self.principal(request)
        if principal.guest:
            raise MeshError(ErrorCode.NOT_AUTHENTICATED)
        return principal

    def anew(self, request: AnyRequest) -> Principal:
        """As `signed_in`, by what is known now: of a request that is answered for long.

        Whom a trusted client speaks for is looked up anew before (`TrustedClients.identify`).
        """
        request.scope["state"].pop(PRINCIPAL, None)
        return self.signed_in(request)

    def in_person(self, request: AnyRequest) -> Principal:
        """The signed-in user, who asks neither with a key nor through a trusted client: for what
        would give a key more than it has. Raises MeshError as `principal`.
        """
        principal = self.signed_in(request)
        if principal.key or principal.trusted:
            raise MeshError(ErrorCode.FORBIDDEN, IN_PERSON)
        return principal

    def _who(self, request: AnyRequest) -> Principal:
        trusted: Principal | None = request.scope["state"].get(TRUSTED)
        if trusted is not None:
            return trusted
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if not scheme or (token == GUEST and self._rules.private):
            return self._guest(request)
        if scheme.lower() != "bearer" or not token:
            raise MeshError(ErrorCode.INVALID_TOKEN, "Send the header as: Authorization: Bearer …")
        if looks_like_key(token):
            return self._accounts.by_key(token)
        principal, issued = self._tokens.read(token)
        self._accounts.check(principal.user_id, issued, principal.session)
        return principal

    def is_private(self, request: AnyRequest) -> bool:
        """Whether only this machine can have sent a request: what a proxy hands on comes from
        anywhere, however the proxy calls this gateway."""
        return self._rules.private and not any(name in request.headers for name in FORWARDED)

    def _guest(self, request: AnyRequest) -> Principal:
        if not self.is_private(request):
            raise MeshError(ErrorCode.NOT_AUTHENTICATED)
        return Principal(GUEST, "Guest", guest=True)


def _urgent(principal: Principal, request: AnyRequest) -> Principal:
    """The same with the priority that they ask with. Raises MeshError (bad_request)."""
    asked = request.headers.get(PRIORITY, "")
    if not asked:
        return principal
    if asked not in LANES:
        names = ", ".join(LANES)
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"Set X-Priority to one of {names}.", param="X-Priority"
        )
    return replace(principal, priority=asked)

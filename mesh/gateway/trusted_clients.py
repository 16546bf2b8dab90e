"""Trusted clients: a site with users of its own says, in a header, whom it asks for.

`TrustedClient: base64(JSON of {api_key, client, user_id, provider_account_id, username})`. The key
is one that an admin made for this client (`mesh key create … --trusted-client`), and opens nothing
as a bearer. Each of the client's users is a user here, made by `POST /auth/trusted` (`trusted.py`).
"""

import time
from base64 import b64decode
from binascii import Error as BadBase64
from hmac import compare_digest
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mesh.gateway.accounts import Accounts
from mesh.gateway.doorman import TRUSTED
from mesh.gateway.errors import AnyRequest
from mesh.gateway.names import NO_NAME
from mesh.gateway.store import Store
from mesh.gateway.tokens import Principal
from mesh.protocol.accounts import AccountMark, KeyCard, SignIn
from mesh.protocol.errors import ErrorCode, MeshError

HEADER = "TrustedClient"
PROVIDER = "client"
LONGEST_ID = 200
REMEMBERED = 60.0
"""Seconds for which the store is not asked again who a client's user is; while it cannot be asked,
what it said last goes on counting."""
MOST_REMEMBERED = 10_000
"""Users; beyond that those are forgotten first of whom the store was asked longest ago."""

UNREADABLE = f"The header {HEADER} has to be base64 of a JSON object with api_key, client, user_id."
NO_USERNAME = f"The username in the header {HEADER} has to be text without control characters."
UNKNOWN_CLIENT = "This key does not belong to a trusted client of this name."


class Claims(Struct):
    """What a trusted client says. user_id: its own id of its user."""

    api_key: str
    client: str
    user_id: str
    provider_account_id: str = ""
    username: str = ""

    @property
    def account(self) -> str:
        """Under which name this user is kept here; a client's name has no colon."""
        return f"{self.client}:{self.user_id}"


class Known(NamedTuple):
    """A client's user, as the store said, whichever of its keys it sends. mark: what was known then
    to have changed about them."""

    principal: Principal
    mark: AccountMark | None
    until: float


class TrustedClients:
    """Looks up whom trusted clients speak for, before a request reaches its handler."""

    def __init__(self, accounts: Accounts, store: Store) -> None:
        self._accounts = accounts
        self._store = store
        self._known: dict[str, Known] = {}

    async def identify(self, request: AnyRequest) -> None:
        """Note on a request whom it is for, where a trusted client says so.

        Raises MeshError: invalid_token, not_found for a user who is not there yet.
        """
        header = request.headers.get(HEADER.lower())
        if header is not None and request.scope["path"].rstrip("/") != "/auth/trusted":
            claims, card = self._read(header)
            principal = replace(await self._principal(claims), key=card.id)
            request.scope["state"][TRUSTED] = principal

    def claims(self, header: str) -> Claims:
        """What a trusted client says, if it is one. Raises MeshError (invalid_token)."""
        return self._read(header)[0]

    def _read(self, header: str) -> tuple[Claims, KeyCard]:
        """What a trusted client says, and its key. Raises MeshError (invalid_token)."""
        try:
            claims = msgspec.json.decode(b64decode(header, validate=True), type=Claims)
        except (BadBase64, ValueError, RecursionError) as error:
            raise MeshError(ErrorCode.INVALID_TOKEN, UNREADABLE) from error
        card = self._accounts.card(claims.api_key)
        named = claims.client.encode()
        if card is None or not card.client or card.role != "admin":
            raise MeshError(ErrorCode.INVALID_TOKEN, UNKNOWN_CLIENT)
        if not compare_digest(card.client.encode(), named):
            raise MeshError(ErrorCode.INVALID_TOKEN, UNKNOWN_CLIENT)
        if not 1 <= len(claims.user_id) <= LONGEST_ID or not claims.user_id.isprintable():
            raise MeshError(ErrorCode.INVALID_TOKEN, UNREADABLE)
        if NO_NAME.search(claims.username):
            raise MeshError(ErrorCode.INVALID_TOKEN, NO_USERNAME)
        if len(claims.provider_account_id) > LONGEST_ID or NO_NAME.search(
            claims.provider_account_id
        ):
            raise MeshError(ErrorCode.INVALID_TOKEN, UNREADABLE)
        return claims, card

    async def _principal(self, claims: Claims) -> Principal:
        now = time.monotonic()
        known = self._as_known(claims)
        if known is not None and known.until > now:
            return known.principal
        told = self._accounts.told
        try:
            user = await self._store.ask(sign_in(claims, known_only=True))
        except MeshError as error:
            known = self._as_known(claims)  # more may have been heard meanwhile
            if known is None or error.code is not ErrorCode.STORE_UNAVAILABLE:
                raise
            return known.principal
        principal = Principal(user.id, user.display_name, user.role, trusted=True)
        if told == self._accounts.told:  # else what the store said may be old by now
            self._remember(claims.account, principal, now + REMEMBERED)
        return principal

    def _as_known(self, claims: Claims) -> Known | None:
        """What the store said of a user, however long ago, unless anything was heard of them since:
        another role counts at once, and who was deleted is gone."""
        known = self._known.get(claims.account)
        if known is None or known.mark != self._accounts.mark(known.principal.user_id):
            return None
        return known

    def _remember(self, account: str, principal: Principal, until: float) -> None:
        self._known.pop(account, None)
        while len(self._known) >= MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[account] = Known(principal, self._accounts.mark(principal.user_id), until)


def sign_in(claims: Claims, *, known_only: bool) -> SignIn:
    """The query for a trusted client's user."""
    return SignIn(
        provider=PROVIDER,
        account=claims.account,
        display_name=(claims.username or claims.user_id)[:LONGEST_ID],
        known_only=known_only,
    )

"""What is asked about people, and what the store tells every gateway about them unasked.

Queries name a person by `user_id`, or by `user`, which is what somebody types: an id, the name of
an account with a password, or `provider:account`. Passwords travel to the store, which alone
knows their hashes; of keys and refresh tokens only the SHA-256 travels, in hex.
"""

from typing import Literal

from mesh.protocol.chats import Asks, ChatTree, Ok, RunRow
from mesh.protocol.limits import Allowance
from mesh.protocol.wire import Wire

Role = Literal["user", "operator", "admin"]

Scope = Literal["ask", "chats", "mesh", "account", "admin"]
"""What a key may be used for: to ask models, for one's chats, to look at the mesh (and to give it
orders, if its owner may), for the account itself, to administer the mesh (if its owner may)."""


# --- objects --------------------------------------------------------------------------------------


class User(Wire, frozen=True, kw_only=True, tag="user"):
    """A person. role is one of user, operator, admin; valid_from: when they were signed out
    everywhere for the last time, as the store had it when it was asked; session: in the reply to
    `UseRefresh`, the sign-in that the token came of (`keys.session_of`)."""

    id: str
    provider: str
    account: str
    display_name: str
    role: Role = "user"
    created_at: float
    valid_from: float = 0.0
    session: str = ""


class Account(Wire, frozen=True, kw_only=True):
    """A person as an admin sees them. password: whether one is set; keys, chats: how many."""

    user: User
    password: bool = False
    keys: int = 0
    chats: int = 0


class Accounts(Wire, frozen=True, kw_only=True, tag="accounts"):
    """Some accounts, oldest first; where `next` is set, there are more: ask on from it."""

    accounts: tuple[Account, ...]
    next: str | None = None


class Key(Wire, frozen=True, kw_only=True, tag="key"):
    """An API key without its secret. hint: how the secret begins; client: of a trusted client's,
    the client's name; last_used_at: to within some seconds."""

    id: str
    user_id: str
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    client: str = ""
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None


class Keys(Wire, frozen=True, kw_only=True, tag="keys"):
    """API keys, oldest first."""

    keys: tuple[Key, ...]


class Share(Wire, frozen=True, kw_only=True, tag="share"):
    """A link to a chat: whoever has the id may read what was in the chat at `created_at`."""

    id: str
    chat_id: str
    created_at: float


class Shares(Wire, frozen=True, kw_only=True, tag="shares"):
    """Links, oldest first."""

    shares: tuple[Share, ...]


class Runs(Wire, frozen=True, kw_only=True, tag="runs"):
    """Some generations, oldest first; where `next` is set, there are more: ask on from it."""

    runs: tuple[RunRow, ...]
    next: str | None = None


# --- what every gateway has a copy of -------------------------------------------------------------


class KeyCard(Wire, frozen=True, kw_only=True, tag="key_card"):
    """What a gateway has to know of a key to let it in; an empty message takes the key away."""

    id: str
    user_id: str
    name: str
    role: Role = "user"
    scopes: tuple[Scope, ...] = ()
    client: str = ""
    expires_at: float | None = None
    allowance: Allowance | None = None


class AccountMark(Wire, frozen=True, kw_only=True, tag="account_mark"):
    """What changed about a person: access tokens made before `since` (Unix time) are worth
    nothing; gone: the account was deleted, and all that it had; allowance: where it has one;
    ended: sign-ins that were ended one by one, whose access tokens are worth nothing either."""

    since: float = 0.0
    gone: bool = False
    allowance: Allowance | None = None
    ended: tuple[str, ...] = ()


# --- queries: people ------------------------------------------------------------------------------


class SignIn(Asks[User], frozen=True, kw_only=True, tag="sign_in"):
    """The user behind an account of an identity provider; created when new. -> User

    known_only: not_found instead of a new one; issuer: the address of the site that has told who it
    is, "": none has, or it is not known. An account is of the site through which it first signed
    in: forbidden, where the provider's name leads to another one by now.
    """

    provider: str
    account: str
    display_name: str
    known_only: bool = False
    issuer: str = ""


class LogIn(Asks[User], frozen=True, kw_only=True, tag="log_in"):
    """The user with this name and password. address: where they ask from, "": not known.

    -> User; invalid_token if there is none, rate_limited after too many failures
    """

    account: str
    password: str
    address: str = ""


class GetUser(Asks[User], frozen=True, kw_only=True, tag="get_user"):
    """-> User"""

    user_id: str


class ListUsers(Asks[Accounts], frozen=True, kw_only=True, tag="list_users"):
    """after: the `next` of the reply before. -> Accounts"""

    after: str | None = None
    limit: int = 100


class AddUser(Asks[User], frozen=True, kw_only=True, tag="add_user"):
    """A new person. provider `password`: one who signs in with it. -> User; conflict"""

    account: str
    password: str = ""
    role: Role = "user"
    provider: str = "password"


class SetPassword(Asks[User], frozen=True, kw_only=True, tag="set_password"):
    """Set a password, which signs its owner out everywhere. -> User

    old: the present one, which has to be right; None: not asked for (operators).
    """

    user: str
    password: str
    old: str | None = None


class SetRole(Asks[User], frozen=True, kw_only=True, tag="set_role"):
    """-> User; conflict for the last admin"""

    user: str
    role: Role


class RenameUser(Asks[User], frozen=True, kw_only=True, tag="rename_user"):
    """Somebody is called otherwise, until a site that they sign in through says another name.
    -> User"""

    user_id: str
    display_name: str


class RemoveUser(Asks[Ok], frozen=True, kw_only=True, tag="remove_user"):
    """Delete a person and all that is theirs, for good. -> Ok; conflict for the last admin"""

    user: str


# --- queries: tokens and keys ---------------------------------------------------------------------


class SaveRefresh(Asks[Ok], frozen=True, kw_only=True, tag="save_refresh"):
    """Remember a refresh token by its SHA-256 in hex; it begins a family. -> Ok; invalid_token if
    the user was signed out everywhere meanwhile

    valid_from: as the store had it when it was checked who asks; None: whatever it is now;
    access_until: when the access token that is given out with it expires, 0: it names no sign-in.
    """

    user_id: str
    token_hash: str
    expires_at: float
    valid_from: float | None = None
    access_until: float = 0.0


class UseRefresh(Asks[User], frozen=True, kw_only=True, tag="use_refresh"):
    """The user of a refresh token. -> User; invalid_token if unknown or revoked, token_expired

    new_hash: the token that takes its place, good until expires_at; "": it stays. Within the leeway
    it may be used again, for the same new_hash and no other. A token whose place was taken longer
    ago takes its whole family with it, and the access tokens that came of that. access_until: as
    in SaveRefresh.
    """

    token_hash: str
    new_hash: str = ""
    expires_at: float = 0.0
    access_until: float = 0.0


class RevokeRefresh(Asks[Ok], frozen=True, kw_only=True, tag="revoke_refresh"):
    """Forget a refresh token and its family, or all of a user's if none is named; the access
    tokens that came of them end as well. user_id "": whosever it is. -> Ok"""

    user_id: str
    token_hash: str | None = None


class CreateKey(Asks[Key], frozen=True, kw_only=True, tag="create_key"):
    """key_hash: SHA-256 of the key; client: of a trusted client, its name. -> Key; conflict"""

    user: str
    name: str
    key_hash: str
    hint: str
    scopes: tuple[Scope, ...]
    client: str = ""
    expires_at: float | None = None


class ListKeys(Asks[Keys], frozen=True, kw_only=True, tag="list_keys"):
    """user "": everybody's. -> Keys"""

    user: str = ""


class RevokeKey(Asks[Ok], frozen=True, kw_only=True, tag="revoke_key"):
    """user_id "": anybody's. -> Ok; not_found"""

    key_id: str
    user_id: str = ""


class KeyUse(Wire, frozen=True, kw_only=True):
    """When a key was used last, in Unix time."""

    key_id: str
    at: float


class NoteKeyUse(Asks[Ok], frozen=True, kw_only=True, tag="note_key_use"):
    """-> Ok"""

    uses: tuple[KeyUse, ...]


# --- queries: what is theirs ----------------------------------------------------------------------


class ListRuns(Asks[Runs], frozen=True, kw_only=True, tag="list_runs"):
    """A tenant's generations outside chats, in chats they are the messages. -> Runs"""

    tenant: str
    after: str | None = None
    limit: int = 100


class ShareChat(Asks[Share], frozen=True, kw_only=True, tag="share_chat"):
    """-> Share"""

    user_id: str
    chat_id: str


class ListShares(Asks[Shares], frozen=True, kw_only=True, tag="list_shares"):
    """-> Shares"""

    user_id: str
    chat_id: str


class RevokeShare(Asks[Ok], frozen=True, kw_only=True, tag="revoke_share"):
    """-> Ok; not_found"""

    user_id: str
    chat_id: str
    share_id: str


class GetShared(Asks[ChatTree], frozen=True, kw_only=True, tag="get_shared"):
    """The chat behind a link, as it was when the link was made. -> ChatTree

    after: the `next` of the reply before.
    """

    share_id: str
    after: str | None = None

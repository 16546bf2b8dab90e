"""People, passwords and refresh tokens over the store's queries (A1, A3, A5)."""

import pytest
from msgspec.structs import replace

from mesh.protocol import subjects
from mesh.protocol.accounts import (
    AccountMark,
    Accounts,
    AddUser,
    GetUser,
    ListUsers,
    LogIn,
    RemoveUser,
    RevokeRefresh,
    SaveRefresh,
    SetPassword,
    SetRole,
    SignIn,
    User,
    UseRefresh,
)
from mesh.protocol.chats import Ok
from mesh.protocol.codec import decode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.keys import session_of
from mesh.store.attempts import EVERYWHERE, PER_ADDRESS, PER_NAME, WINDOW
from mesh.store.mirror import all_news
from mesh.store.queries import tokens
from mesh.store.queries.tokens import LATE
from tests.unit.store.conftest import Store
from tests.unit.store.story import BEGAN

PASSWORD = "correct horse"


async def save(store: Store, user: User, token_hash: str) -> None:
    expiry = BEGAN + 100
    query = SaveRefresh(user_id=user.id, token_hash=token_hash, expires_at=expiry)
    await store.ask(query, Ok)


async def add(store: Store, account: str = "ada", **fields: object) -> User:
    query = AddUser(account=account, password=PASSWORD, **fields)  # type: ignore[arg-type]
    return await store.ask(query, User)


def mark(store: Store, user: User) -> AccountMark | None:
    """What the gateways were told about a user."""
    heard = store.gateways.heard.get(subjects.account_mark(user.id))
    return None if heard is None else decode(heard, AccountMark)


# --- who is who -----------------------------------------------------------------------------------


async def test_an_account_is_one_user_however_often_it_signs_in(store: Store) -> None:
    alice = await store.user()
    assert alice == User(
        id=alice.id, provider="debug", account="alice", display_name="alice", created_at=BEGAN
    )
    store.now += 10
    renamed = SignIn(provider="debug", account="alice", display_name="Alice A.")
    again = await store.ask(renamed, User)
    assert (again.id, again.display_name, again.created_at) == (alice.id, "Alice A.", BEGAN)
    assert await store.ask(GetUser(user_id=alice.id), User) == again


async def test_the_same_name_at_another_provider_is_another_user(store: Store) -> None:
    alice = await store.user()
    other = await store.ask(SignIn(provider="github", account="alice", display_name="a"), User)
    assert other.id != alice.id


async def test_an_account_is_of_the_site_through_which_it_first_signed_in(store: Store) -> None:
    def through(issuer: str, account: str = "7") -> SignIn:
        return SignIn(provider="oidc", account=account, display_name="Ada", issuer=issuer)

    ada = await store.ask(through("https://one.example"), User)
    for known_only in (True, False):
        query = replace(through("https://two.example"), known_only=known_only)
        assert await store.refusal(query) == ErrorCode.FORBIDDEN
    assert await store.ask(through("https://one.example"), User) == ada
    # of a gateway of the version before, which names no site, and of an account made beforehand
    assert await store.ask(through(""), User) == ada
    made = await store.ask(AddUser(account="8", provider="oidc"), User)
    assert (await store.ask(through("https://two.example", "8"), User)).id == made.id
    query = through("https://one.example", "8")
    assert await store.refusal(query) == ErrorCode.FORBIDDEN


async def test_an_unknown_user_is_not_found(store: Store) -> None:
    unknown = SaveRefresh(user_id="nobody", token_hash="h", expires_at=BEGAN)
    known_only = SignIn(provider="x", account="y", display_name="y", known_only=True)
    for query in (GetUser(user_id="nobody"), unknown, known_only):
        assert await store.refusal(query) == ErrorCode.NOT_FOUND


async def test_everybody_is_listed_in_pages(store: Store) -> None:
    users = []
    for name in ("ada", "bob", "eve"):
        store.now += 1
        users.append(await add(store, name))
    first = await store.ask(ListUsers(limit=2), Accounts)
    rest = await store.ask(ListUsers(limit=2, after=first.next), Accounts)
    found = [*first.accounts, *rest.accounts]
    assert [account.user for account in found] == users and rest.next is None
    assert all(account.password for account in found)


# --- passwords ------------------------------------------------------------------------------------


async def test_a_name_and_its_password_sign_in_and_nothing_else_does(store: Store) -> None:
    ada = await add(store, "Ada")
    assert await store.ask(LogIn(account=" ADA ", password=PASSWORD), User) == ada
    await store.user("dora")  # of the debug login, without a password
    for account, password in (("ada", "wrong horse"), ("nobody", PASSWORD), ("dora", "")):
        wrong = LogIn(account=account, password=password)
        assert await store.refusal(wrong) == ErrorCode.INVALID_TOKEN


async def test_passwords_are_kept_as_argon2id_hashes_alone(store: Store) -> None:
    await add(store)
    rows = await store.rows()
    assert rows["passwords"][0]["hash"].startswith("$argon2id$")
    assert PASSWORD not in str(rows)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025])
async def test_a_password_has_a_length(store: Store, password: str) -> None:
    await add(store)
    for query in (
        AddUser(account="new", password=password),
        SetPassword(user="ada", password=password),
    ):
        assert await store.refusal(query) == ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("account", ["", "two words", "a:b", "a/b", "a\x00b", "x" * 101])
async def test_a_name_is_one_word(store: Store, account: str) -> None:
    query = AddUser(account=account, password=PASSWORD)
    assert await store.refusal(query) == ErrorCode.BAD_REQUEST


async def test_a_name_is_had_once_in_whatever_case(store: Store) -> None:
    await add(store, "ada")
    again = AddUser(account="ADA", password=PASSWORD)
    assert await store.refusal(again) == ErrorCode.CONFLICT


async def test_who_was_signed_out_while_signing_in_is_not_signed_in(store: Store) -> None:
    """Two queries sign somebody in; what is known of the first may be over by the second."""
    ada = await add(store)
    known = await store.ask(LogIn(account="ada", password=PASSWORD), User)
    store.now += 1
    await store.ask(SetPassword(user="ada", password="another horse"), User)
    late = SaveRefresh(
        user_id=ada.id, token_hash="t", expires_at=BEGAN + 100, valid_from=known.valid_from
    )
    assert await store.refusal(late) == ErrorCode.INVALID_TOKEN
    known = await store.ask(LogIn(account="ada", password="another horse"), User)
    await store.ask(
        SaveRefresh(
            user_id=ada.id, token_hash="t", expires_at=BEGAN + 100, valid_from=known.valid_from
        ),
        Ok,
    )


async def test_a_new_password_signs_out_everywhere(store: Store) -> None:
    ada = await add(store)
    await save(store, ada, "hash")
    store.now += 5
    wrong = SetPassword(user=ada.id, password="another horse", old="not it")
    assert await store.refusal(wrong) == ErrorCode.INVALID_TOKEN
    await store.ask(SetPassword(user="ada", password="another horse", old=PASSWORD), User)
    assert await store.refusal(LogIn(account="ada", password=PASSWORD)) == ErrorCode.INVALID_TOKEN
    signed_in = await store.ask(LogIn(account="ada", password="another horse"), User)
    assert signed_in == replace(ada, valid_from=BEGAN + 5)
    assert await store.refusal(UseRefresh(token_hash="hash")) == ErrorCode.INVALID_TOKEN
    assert mark(store, ada) == AccountMark(since=BEGAN + 5)


async def test_who_signs_in_by_another_way_has_no_password_to_change(store: Store) -> None:
    """Nor may they try that of somebody of the same name."""
    await add(store, "ada")
    other = await store.user("ada")
    for old in (PASSWORD, None):
        query = SetPassword(user=other.id, password="another horse", old=old)
        assert await store.refusal(query) == ErrorCode.BAD_REQUEST
    await store.ask(LogIn(account="ada", password=PASSWORD), User)


async def test_after_too_many_failures_even_the_right_password_waits(store: Store) -> None:
    await add(store)
    for address in ("", "192.0.2.1"):
        wrong = LogIn(account="ada", password="wrong", address=address)
        for _ in range(PER_NAME):
            assert await store.refusal(wrong) == ErrorCode.INVALID_TOKEN
        right = replace(wrong, password=PASSWORD)
        assert await store.refusal(right) == ErrorCode.RATE_LIMITED
        store.now += WINDOW + 1
        await store.ask(right, User)


async def test_who_guesses_elsewhere_locks_nobody_out_alone(store: Store) -> None:
    await add(store)
    guesses = [
        LogIn(account="ada", password="x" * 2000, address=f"192.0.2.{number}")
        for number in range(EVERYWHERE // PER_NAME)
    ]
    here = LogIn(account="ada", password=PASSWORD, address="198.51.100.1")
    for guess in guesses:
        await store.ask(here, User)
        for _ in range(PER_NAME):
            assert await store.refusal(guess) == ErrorCode.INVALID_TOKEN
        assert await store.refusal(guess) == ErrorCode.RATE_LIMITED
    # of many addresses together there is an end all the same, whoever has signed in meanwhile
    assert await store.refusal(here) == ErrorCode.RATE_LIMITED
    store.now += WINDOW + 1
    await store.ask(here, User)


async def test_who_signs_in_begins_anew(store: Store) -> None:
    await add(store)
    for _ in range(3):
        for _ in range(PER_NAME - 1):
            await store.refusal(LogIn(account="ada", password="wrong"))
        await store.ask(LogIn(account="ada", password=PASSWORD), User)


async def test_an_address_may_not_try_names_without_end(store: Store) -> None:
    for number in range(PER_ADDRESS):
        tried = LogIn(account=f"name{number}", password="x" * 2000, address="192.0.2.1")
        assert await store.refusal(tried) == ErrorCode.INVALID_TOKEN
    another = LogIn(account="another", password="x" * 2000, address="192.0.2.1")
    assert await store.refusal(another) == ErrorCode.RATE_LIMITED


# --- roles ----------------------------------------------------------------------------------------


async def test_a_new_role_ends_access_tokens_with_the_old_one(store: Store) -> None:
    ada = await add(store)
    store.now += 5
    assert (await store.ask(SetRole(user="ada", role="operator"), User)).role == "operator"
    assert mark(store, ada) == AccountMark(since=BEGAN + 5)


async def test_the_last_admin_stays_one(store: Store) -> None:
    await add(store, "root", role="admin")
    assert await store.refusal(SetRole(user="root", role="user")) == ErrorCode.CONFLICT
    await add(store, "other", role="admin")
    await store.ask(SetRole(user="root", role="user"), User)


async def test_the_last_admin_who_can_sign_in_stays_one(store: Store) -> None:
    await add(store, "root", role="admin")
    for provider in ("api", "client", "debug"):  # no password, and no site to sign in through
        made = SignIn(provider=provider, account="idle", display_name="Idle")
        await store.ask(made, User)
        await store.ask(SetRole(user=f"{provider}:idle", role="admin"), User)
    for query in (SetRole(user="root", role="user"), RemoveUser(user="root")):
        assert await store.refusal(query) == ErrorCode.CONFLICT
    await store.ask(RemoveUser(user="api:idle"), Ok)
    await store.ask(AddUser(account="7", provider="github", role="admin"), User)
    await store.ask(SetRole(user="root", role="user"), User)
    assert await store.refusal(SetRole(user="github:7", role="user")) == ErrorCode.CONFLICT


# --- refresh tokens -------------------------------------------------------------------------------


async def test_a_refresh_token_leads_to_its_user_until_it_expires(store: Store) -> None:
    alice = await store.user()
    await save(store, alice, "hash")
    assert (await store.ask(UseRefresh(token_hash="hash"), User)).id == alice.id
    assert await store.refusal(UseRefresh(token_hash="other")) == ErrorCode.INVALID_TOKEN
    store.now = BEGAN + 100
    assert await store.refusal(UseRefresh(token_hash="hash")) == ErrorCode.TOKEN_EXPIRED


async def test_a_used_refresh_token_shown_again_ends_its_family(store: Store) -> None:
    alice = await store.user()
    await save(store, alice, "first")
    await save(store, alice, "another device's")
    rotate = UseRefresh(token_hash="first", new_hash="second", expires_at=BEGAN + 200)
    await store.ask(rotate, User)
    store.now += 9
    await store.ask(rotate, User)  # within the leeway: an answer that got lost
    store.now += 2
    stolen = UseRefresh(token_hash="first", new_hash="thief's", expires_at=BEGAN + 200)
    assert await store.refusal(stolen) == ErrorCode.INVALID_TOKEN
    for token in ("first", "second", "thief's"):
        assert await store.refusal(UseRefresh(token_hash=token)) == ErrorCode.INVALID_TOKEN
    await store.ask(UseRefresh(token_hash="another device's"), User)


async def test_a_refresh_token_has_one_successor_and_whoever_shares_it_is_found_out(
    store: Store,
) -> None:
    """Two who use one at once go on in one chain, where the next use of both tells that they are
    two: with a successor for each the thief would go on beside the robbed unnoticed."""
    alice = await store.user()
    await save(store, alice, "first")
    for caller in ("robbed", "thief"):
        rotate = UseRefresh(token_hash="first", new_hash="second", expires_at=BEGAN + 9e4)
        assert (await store.ask(rotate, User)).id == alice.id, caller
        store.now += 1
    own = UseRefresh(token_hash="first", new_hash="thief's own", expires_at=BEGAN + 9e4)
    assert await store.refusal(own) == ErrorCode.INVALID_TOKEN
    store.now += 900
    further = UseRefresh(token_hash="second", new_hash="third", expires_at=BEGAN + 9e4)
    await store.ask(further, User)
    store.now += 100
    assert await store.refusal(further) == ErrorCode.INVALID_TOKEN
    assert await store.refusal(UseRefresh(token_hash="third")) == ErrorCode.INVALID_TOKEN


async def test_access_tokens_of_who_was_late_end_with_the_sign_in(store: Store) -> None:
    alice = await store.user()
    session = await begin(store, alice, "first" * 10)
    for until in (8e4, 9e4):
        rotate = UseRefresh(
            token_hash="first" * 10,
            new_hash="next",
            expires_at=BEGAN + 9e5,
            access_until=BEGAN + until,
        )
        await store.ask(rotate, User)
    await store.ask(RevokeRefresh(user_id="", token_hash="next"), Ok)
    store.now = BEGAN + 8.5e4 + LATE
    await begin(store, alice, "second" * 10)
    await store.ask(RevokeRefresh(user_id="", token_hash="second" * 10), Ok)
    marked = mark(store, alice)
    assert marked is not None and session in marked.ended


async def begin(store: Store, user: User, token: str, until: float = BEGAN + 50) -> str:
    """Sign in, with an access token that lasts until then; the name of the sign-in."""
    query = SaveRefresh(
        user_id=user.id, token_hash=token, expires_at=BEGAN + 100, access_until=until
    )
    await store.ask(query, Ok)
    return session_of(token)


async def test_who_signs_out_ends_the_access_tokens_of_that_sign_in_alone(store: Store) -> None:
    alice = await store.user()
    here, there = await begin(store, alice, "here" * 16), await begin(store, alice, "there" * 16)
    rotate = UseRefresh(token_hash="here" * 16, new_hash="next", expires_at=BEGAN + 100)
    assert (await store.ask(rotate, User)).session == here
    await store.ask(RevokeRefresh(user_id="", token_hash="next"), Ok)
    assert mark(store, alice) == AccountMark(ended=(here,))
    await store.ask(RevokeRefresh(user_id="", token_hash="there" * 16), Ok)
    assert mark(store, alice) == AccountMark(ended=(here, there))


async def test_a_stolen_refresh_token_takes_its_access_tokens_with_it(store: Store) -> None:
    alice = await store.user()
    session = await begin(store, alice, "first" * 10)
    rotate = UseRefresh(token_hash="first" * 10, new_hash="second", expires_at=BEGAN + 100)
    await store.ask(rotate, User)
    store.now += 11
    assert await store.refusal(rotate) == ErrorCode.INVALID_TOKEN
    assert mark(store, alice) == AccountMark(ended=(session,))


async def test_an_ended_sign_in_is_remembered_as_long_as_its_last_access_token(
    store: Store,
) -> None:
    alice = await store.user()
    first = await begin(store, alice, "first" * 10)
    rotate = UseRefresh(
        token_hash="first" * 10, new_hash="next", expires_at=BEGAN + 9e4, access_until=BEGAN + 8e4
    )
    await store.ask(rotate, User)
    await store.ask(RevokeRefresh(user_id="", token_hash="next"), Ok)
    store.now = BEGAN + 8e4 + LATE - 1
    second = await begin(store, alice, "second" * 10, store.now + 50)
    await store.ask(RevokeRefresh(user_id="", token_hash="second" * 10), Ok)
    assert mark(store, alice) == AccountMark(ended=(first, second))
    store.now += 2
    async with store.database.read() as session:
        told = (await all_news(session, store.now)).messages
    assert decode(told[subjects.account_mark(alice.id)], AccountMark) == AccountMark(
        ended=(second,)
    )


async def test_who_signs_out_without_end_is_signed_out_everywhere(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_ENDED", 2)
    alice = await store.user()
    for name in ("one", "two", "three"):
        await begin(store, alice, name * 20)
        store.now += 1
        await store.ask(RevokeRefresh(user_id="", token_hash=name * 20), Ok)
    assert mark(store, alice) == AccountMark(since=store.now)


async def test_refresh_tokens_are_revoked_one_by_one_or_all(store: Store) -> None:
    alice, bob = await store.user(), await store.user("bob")
    for user, token in ((alice, "a1"), (alice, "a2"), (alice, "a3"), (bob, "b1")):
        await save(store, user, token)
    await store.ask(RevokeRefresh(user_id=alice.id, token_hash="a1"), Ok)
    await store.ask(RevokeRefresh(user_id=alice.id, token_hash="b1"), Ok)
    assert await store.refusal(UseRefresh(token_hash="a1")) == ErrorCode.INVALID_TOKEN
    assert await store.ask(UseRefresh(token_hash="a2"), User)
    assert mark(store, alice) is None
    await store.ask(RevokeRefresh(user_id=alice.id), Ok)
    for token in ("a2", "a3"):
        assert await store.refusal(UseRefresh(token_hash=token)) == ErrorCode.INVALID_TOKEN
    assert mark(store, alice) == AccountMark(since=BEGAN)
    assert (await store.ask(UseRefresh(token_hash="b1"), User)).id == bob.id
    await store.ask(RevokeRefresh(user_id="", token_hash="b1"), Ok)
    assert await store.refusal(UseRefresh(token_hash="b1")) == ErrorCode.INVALID_TOKEN

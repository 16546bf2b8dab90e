"""Users and refresh tokens over the store's queries (A1, A3)."""

from mesh.protocol.chats import GetUser, Ok, RevokeRefresh, SaveRefresh, SignIn, User, UseRefresh
from mesh.protocol.errors import ErrorCode
from tests.unit.store.conftest import Store
from tests.unit.store.story import BEGAN


async def save(store: Store, user: User, token_hash: str) -> None:
    expiry = BEGAN + 100
    query = SaveRefresh(user_id=user.id, token_hash=token_hash, expires_at=expiry)
    await store.ask(query, Ok)


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


async def test_an_unknown_user_is_not_found(store: Store) -> None:
    unknown = SaveRefresh(user_id="nobody", token_hash="h", expires_at=BEGAN)
    for query in (GetUser(user_id="nobody"), unknown):
        assert await store.refusal(query) == ErrorCode.NOT_FOUND


async def test_a_refresh_token_leads_to_its_user_until_it_expires(store: Store) -> None:
    alice = await store.user()
    await save(store, alice, "hash")
    assert (await store.ask(UseRefresh(token_hash="hash"), User)).id == alice.id
    assert await store.refusal(UseRefresh(token_hash="other")) == ErrorCode.INVALID_TOKEN
    store.now = BEGAN + 100
    assert await store.refusal(UseRefresh(token_hash="hash")) == ErrorCode.TOKEN_EXPIRED


async def test_refresh_tokens_are_revoked_one_by_one_or_all(store: Store) -> None:
    alice, bob = await store.user(), await store.user("bob")
    for user, token in ((alice, "a1"), (alice, "a2"), (alice, "a3"), (bob, "b1")):
        await save(store, user, token)
    await store.ask(RevokeRefresh(user_id=alice.id, token_hash="a1"), Ok)
    await store.ask(RevokeRefresh(user_id=alice.id, token_hash="b1"), Ok)
    assert await store.refusal(UseRefresh(token_hash="a1")) == ErrorCode.INVALID_TOKEN
    assert await store.ask(UseRefresh(token_hash="a2"), User)
    await store.ask(RevokeRefresh(user_id=alice.id), Ok)
    for token in ("a2", "a3"):
        assert await store.refusal(UseRefresh(token_hash=token)) == ErrorCode.INVALID_TOKEN
    assert (await store.ask(UseRefresh(token_hash="b1"), User)).id == bob.id

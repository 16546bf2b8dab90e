"""API keys, links to chats, and what is left of somebody who goes, over the store's queries."""

import pytest

from mesh.protocol import subjects
from mesh.protocol.accounts import (
    AccountMark,
    AddUser,
    CreateKey,
    GetShared,
    Key,
    KeyCard,
    Keys,
    KeyUse,
    ListKeys,
    ListRuns,
    ListShares,
    NoteKeyUse,
    RemoveUser,
    RevokeKey,
    RevokeShare,
    Runs,
    SetRole,
    Share,
    ShareChat,
    Shares,
    User,
)
from mesh.protocol.chats import (
    AddUserMessage,
    ChatMessage,
    ChatTree,
    DeleteChat,
    GetRun,
    Ok,
    RunRow,
)
from mesh.protocol.codec import decode
from mesh.protocol.errors import ErrorCode
from tests.unit.store.conftest import Store
from tests.unit.store.story import BEGAN, claim, done, queued, said, turn


async def key(store: Store, user: User, **fields: object) -> Key:
    made = {"name": "laptop", "key_hash": "k1", "hint": "sk-mesh-ab", "scopes": ("ask",)} | fields
    return await store.ask(CreateKey(user=user.id, **made), Key)  # type: ignore[arg-type]


def card(store: Store, key_hash: str = "k1") -> KeyCard | None:
    """What the gateways know of a key now."""
    heard = store.gateways.heard[subjects.account_key(key_hash)]
    return decode(heard, KeyCard) if heard else None


# --- keys -----------------------------------------------------------------------------------------


async def test_a_key_is_told_to_the_gateways_and_taken_away_again(store: Store) -> None:
    alice = await store.user()
    made = await key(store, alice)
    expected = KeyCard(id=made.id, user_id=alice.id, name="alice", scopes=("ask",))
    assert card(store) == expected
    assert (await store.ask(ListKeys(user=alice.id), Keys)).keys == (made,)
    await store.ask(RevokeKey(key_id=made.id, user_id=alice.id), Ok)
    assert card(store) is None
    assert (await store.ask(ListKeys(), Keys)).keys == ()


async def test_a_key_is_its_owners_alone(store: Store) -> None:
    alice, bob = await store.user(), await store.user("bob")
    made = await key(store, alice)
    theft = RevokeKey(key_id=made.id, user_id=bob.id)
    assert await store.refusal(theft) == ErrorCode.NOT_FOUND
    assert (await store.ask(ListKeys(user=bob.id), Keys)).keys == ()
    await store.ask(RevokeKey(key_id=made.id), Ok)  # an operator


async def test_a_key_has_the_role_of_its_owner_as_it_is_now(store: Store) -> None:
    alice = await store.user()
    await key(store, alice)
    await store.ask(SetRole(user=alice.id, role="operator"), User)
    found = card(store)
    assert found is not None and found.role == "operator"


async def test_the_last_use_of_a_key_is_kept(store: Store) -> None:
    made = await key(store, await store.user())
    for at in (BEGAN + 3, BEGAN + 1):
        uses = (KeyUse(key_id=made.id, at=at), KeyUse(key_id="revoked", at=at))
        await store.ask(NoteKeyUse(uses=uses), Ok)
    (found,) = (await store.ask(ListKeys(), Keys)).keys
    assert found.last_used_at == BEGAN + 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": " "}, ErrorCode.BAD_REQUEST),
        ({"name": "x" * 101}, ErrorCode.BAD_REQUEST),
        ({"name": "a\nb"}, ErrorCode.BAD_REQUEST),
        ({"expires_at": BEGAN}, ErrorCode.BAD_REQUEST),
        ({"client": "website"}, ErrorCode.FORBIDDEN),
    ],
)
async def test_not_every_key_is_made(
    store: Store, fields: dict[str, object], code: ErrorCode
) -> None:
    alice = await store.user()
    made = {"name": "n", "key_hash": "h", "hint": "", "scopes": ()} | fields
    query = CreateKey(user=alice.id, **made)  # type: ignore[arg-type]
    assert await store.refusal(query) == code


# --- links ----------------------------------------------------------------------------------------


async def test_a_link_shows_the_chat_as_it_was_until_it_is_revoked(store: Store) -> None:
    alice, bob = await store.user(), await store.user("bob")
    chat = await store.chat(alice)
    hello = AddUserMessage(user_id=alice.id, chat_id=chat.id, content="Hello!")
    first = await store.ask(hello, ChatMessage)
    store.now += 1
    mine = {"user_id": alice.id, "chat_id": chat.id}
    link = await store.ask(ShareChat(**mine), Share)
    store.now += 1
    later = await store.chat(alice)
    await store.ask(AddUserMessage(user_id=alice.id, chat_id=later.id, content="else"), ChatMessage)
    shown = await store.ask(GetShared(share_id=link.id), ChatTree)
    assert [message.id for message in shown.messages] == [first.id]
    assert (await store.ask(ListShares(**mine), Shares)).shares == (link,)
    others = {"user_id": bob.id, "chat_id": chat.id}
    for query in (
        ShareChat(**others),
        ListShares(**others),
        RevokeShare(share_id=link.id, **others),
        RevokeShare(user_id=alice.id, chat_id=later.id, share_id=link.id),
        GetShared(share_id="guessed"),
    ):
        assert await store.refusal(query) == ErrorCode.NOT_FOUND
    await store.ask(RevokeShare(share_id=link.id, **mine), Ok)
    assert await store.refusal(GetShared(share_id=link.id)) == ErrorCode.NOT_FOUND


async def test_with_a_chat_its_links_go(store: Store) -> None:
    alice = await store.user()
    chat = await store.chat(alice)
    link = await store.ask(ShareChat(user_id=alice.id, chat_id=chat.id), Share)
    await store.ask(DeleteChat(user_id=alice.id, chat_id=chat.id), Ok)
    assert await store.refusal(GetShared(share_id=link.id)) == ErrorCode.NOT_FOUND


# --- leaving --------------------------------------------------------------------------------------


async def test_somebody_who_goes_leaves_nothing_but_a_mark(store: Store) -> None:
    before = await store.rows()
    ada = await store.ask(AddUser(account="ada", password="correct horse"), User)
    chat = await store.chat(ada)
    await store.ask(ShareChat(user_id=ada.id, chat_id=chat.id), Share)
    await key(store, ada)
    place = turn(chat.id, ada.id, said("q1", "secret"))
    store.log.append(queued("r1", place, tenant=ada.id), "r1")
    seq = store.log.append(queued("r2", tenant=ada.id), "r2")
    await store.ask(GetRun(rid="r2", min_seq=seq), RunRow)
    runs = await store.ask(ListRuns(tenant=ada.id), Runs)
    assert [run.rid for run in runs.runs] == ["r2"]

    gone = await store.ask(RemoveUser(user="ada"), Ok)
    assert set(gone.unfinished) == {"r1", "r2"}
    # What is still written for her, and a chat that is restored from the log, stay away.
    store.log.append(claim(), "r2")
    store.log.append(done("secret"), "r2")
    store.log.append(queued("r3", tenant=ada.id), "r3")
    seq = store.log.append(queued("r4", turn("another", ada.id, said("q2")), ada.id), "r4")
    assert await store.refusal(GetRun(rid="r4", min_seq=seq)) == ErrorCode.NOT_FOUND

    marks = ("deleted_chats", "deleted_users", "position")
    rows = await store.rows()
    for table in before.keys() - marks:
        assert rows[table] == before[table], table
    assert card(store) is None
    assert decode(store.gateways.heard[subjects.account_mark(ada.id)], AccountMark).gone


async def test_runs_come_in_pages(store: Store) -> None:
    for number in range(3):
        rid = f"r{number}"
        seq = store.log.append(queued(rid, tenant="ada", late=number), rid)
    await store.ask(GetRun(rid="r2", min_seq=seq), RunRow)
    first = await store.ask(ListRuns(tenant="ada", limit=2), Runs)
    rest = await store.ask(ListRuns(tenant="ada", limit=2, after=first.next), Runs)
    assert [run.rid for run in (*first.runs, *rest.runs)] == ["r0", "r1", "r2"]
    stranger = ListRuns(tenant="bob", after="r0")
    assert await store.refusal(stranger) == ErrorCode.NOT_FOUND

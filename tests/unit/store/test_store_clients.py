"""What the clients of questions have used: charged from the log, each end once."""

from mesh.protocol.accounts import RemoveUser
from mesh.protocol.chats import Ok
from mesh.protocol.clients import ClientUsage, GetClient
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Queued, Usage
from mesh.protocol.request import Charge
from mesh.protocol.subjects import Writer
from tests.unit.store import story
from tests.unit.store.conftest import Store

W1 = Writer("w1", "i1")


def asked(store: Store, rid: str, user: str = "u", client: str = "c", tenant: str = "alice") -> int:
    charge = Charge(client=client, user=user)
    queued = story.queued(rid, tenant=tenant)
    return store.log.append(Queued(uid=queued.uid, request=queued.request, charge=charge), rid)


async def used(store: Store, client: str = "c", tenant: str = "alice") -> ClientUsage:
    query = GetClient(tenant=tenant, client=client, min_seq=store.log.last)
    return await store.ask(query, ClientUsage)


async def test_a_client_is_charged_for_all_its_users_once_each_answer_has_ended(
    store: Store,
) -> None:
    asked(store, "r1")
    assert await used(store) == ClientUsage(client="c", requests=1)
    store.log.append(story.claim(), "r1", W1)
    store.log.append(story.done("hello back"), "r1", W1)
    asked(store, "r2", user="other")
    store.log.append(story.claim(), "r2", W1)
    store.log.append(story.done("hello back"), "r2", W1)
    found = await used(store)
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (2, 6, 20)


async def test_what_was_generated_before_a_hang_up_is_charged(store: Store) -> None:
    asked(store, "r1")
    store.log.append(story.claim(), "r1", W1)
    usage = Usage(prompt_tokens=3, completion_tokens=2)
    store.log.append(Cancelled(uid="end", n=1, text="hel", usage=usage), "r1", W1)
    assert (await used(store)).tokens == 5


async def test_a_log_that_is_read_again_charges_nothing_twice(store: Store) -> None:
    asked(store, "r1")
    store.log.append(story.claim(), "r1", W1)
    store.log.append(story.done("hello back"), "r1", W1)
    before = await used(store)
    store.log.created = "again"
    store.log.wake()
    await store.follower.caught_up()
    assert await used(store) == before


async def test_clients_of_another_or_that_never_asked_are_not_there(store: Store) -> None:
    asked(store, "r1", tenant="bob")
    await store.follower.caught_up()
    for client in ("c", "d"):
        query = GetClient(tenant="alice", client=client)
        assert await store.refusal(query) is ErrorCode.NOT_FOUND


async def test_who_leaves_takes_the_counts_of_their_clients_along(store: Store) -> None:
    alice = await store.user()
    asked(store, "r1", tenant=alice.id)
    assert (await used(store, tenant=alice.id)).requests == 1
    await store.ask(RemoveUser(user=alice.id), Ok)
    assert await store.refusal(GetClient(tenant=alice.id, client="c")) is ErrorCode.NOT_FOUND
    asked(store, "r2", tenant=alice.id)
    late = GetClient(tenant=alice.id, client="c", min_seq=store.log.last)
    assert await store.refusal(late) is ErrorCode.NOT_FOUND

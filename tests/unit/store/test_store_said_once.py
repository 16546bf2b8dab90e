"""Messages of threads that are sent twice under one uid are kept once, and left out where asked."""

from mesh.protocol.accounts import User
from mesh.protocol.errors import ErrorCode
from mesh.protocol.request import Message
from mesh.protocol.threads import (
    AddThreadMessage,
    CreateThread,
    ListThreadMessages,
    NewMessage,
    PlanThread,
    Thread,
    ThreadMessage,
    ThreadMessages,
    ThreadPlan,
)
from mesh.protocol.tools import GetThread, ThreadHistory
from tests.unit.store.conftest import Store


def adding(user: User, thread: Thread, *said: str, uid: str = "u") -> AddThreadMessage:
    """Messages with uids u0, u1, …"""
    first, *more = (NewMessage(content=text, uid=f"{uid}{at}") for at, text in enumerate(said))
    return AddThreadMessage(user_id=user.id, thread_id=thread.id, message=first, more=tuple(more))


async def contents(store: Store, user: User, thread: Thread) -> list[str]:
    query = ListThreadMessages(user_id=user.id, thread_id=thread.id)
    return [each.content for each in (await store.ask(query, ThreadMessages)).messages]


async def test_what_is_said_twice_under_one_uid_is_kept_once(store: Store) -> None:
    ada = await store.user()
    thread = await store.ask(CreateThread(user_id=ada.id), Thread)
    first = await store.ask(adding(ada, thread, "one", "two"), ThreadMessage)
    again = await store.ask(adding(ada, thread, "one", "two"), ThreadMessage)
    assert again == first
    assert await contents(store, ada, thread) == ["one", "two"]
    await store.ask(adding(ada, thread, "one", uid="v"), ThreadMessage)
    assert await contents(store, ada, thread) == ["one", "two", "one"]


async def test_a_uid_of_another_message_is_refused_and_nothing_is_kept(store: Store) -> None:
    ada, bob = await store.user("ada"), await store.user("bob")
    thread = await store.ask(CreateThread(user_id=ada.id, participants=(bob.id,)), Thread)
    elsewhere = await store.ask(CreateThread(user_id=ada.id), Thread)
    await store.ask(adding(ada, thread, "one"), ThreadMessage)
    for query in (
        adding(ada, thread, "another", "more"),
        adding(ada, elsewhere, "one", "more"),
        adding(bob, thread, "one", "more"),
    ):
        assert await store.refusal(query) is ErrorCode.CONFLICT
    assert await contents(store, ada, thread) == ["one"]
    assert await contents(store, ada, elsewhere) == []


async def test_a_conversation_is_told_without_what_is_about_to_be_said(store: Store) -> None:
    ada = await store.user()
    thread = await store.ask(CreateThread(user_id=ada.id), Thread)
    await store.ask(adding(ada, thread, "before", uid="v"), ThreadMessage)
    await store.ask(adding(ada, thread, "one", "two"), ThreadMessage)
    left = (Message(role="user", content="before"),)
    without = ("u0", "u1", "u2")
    plan = PlanThread(user_id=ada.id, thread_id=thread.id, without=without)
    assert (await store.ask(plan, ThreadPlan)).messages == left
    history = GetThread(tenant=ada.id, thread=thread.id, without=without)
    assert (await store.ask(history, ThreadHistory)).messages == left

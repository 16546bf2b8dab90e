"""The tables that the commands draw: a row each, whatever it is that they tell of."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from mesh.cli import chats, dlq, key, models, ps, usage, user
from mesh.cli.fleet import Pending, Queue, Worker
from mesh.cli.screen import cell
from mesh.protocol.accounts import Account, Key, User
from mesh.protocol.limits import UsageRow
from mesh.worker.shelf import Shelved

EVIL = "one\ntwo\r\x1b[2Jthree\u2028\u202efour\t[bold]five"
TAME = "one two [2Jthree four [bold]five"


def users() -> RenderableType:
    found = User(id="u1", provider="oidc", account="ada", display_name=EVIL, role="user",
                 created_at=0.0)  # fmt: skip
    return user._listing(user.People(users=[Account(user=found, chats=1, keys=2)]))


def keys() -> RenderableType:
    made = Key(id="k1", user_id="u1", name=EVIL, hint="mesh_a", scopes=("ask",), created_at=0.0)
    return key._listing(key.AllKeys(keys=[key.Listed(key=made, owner=EVIL)]))


def used() -> RenderableType:
    row = UsageRow(day="2026-11-21", user="u1", key="k1", model=EVIL, requests=1)
    return usage._listing(usage.AllUsage(usage=[usage.Listed(usage=row, name=EVIL)]))


def titles() -> RenderableType:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    chat = chats.Listed(id="c1", title=EVIL, created_at=at, modified_at=at, hidden=False)
    return chats.render(chats.Chats(chats=[chat]))


def letters() -> RenderableType:
    letter = dlq.Summary(rid="r1", model=EVIL, tenant=EVIL, at=0.0, workers=[EVIL], why=EVIL)
    return dlq._listing([letter])


def workers() -> RenderableType:
    worker = Worker(
        name=EVIL, models=[EVIL], engine=EVIL, slots=1, running=0, speed=0.0, up=1.0,
        draining=False, host=EVIL, hardware="", pid=1, version="1",
    )  # fmt: skip
    return ps._workers([worker])


def queues() -> RenderableType:
    return ps.queues_table([Queue(model=EVIL, waiting=0, in_work=0, workers=1, slots=1)])


def requests() -> RenderableType:
    request = Pending(
        rid="r1", model=EVIL, tenant=EVIL, state="running", seconds=1.0, worker=EVIL, attempts=1
    )
    return ps._requests([request], 1)


def served() -> RenderableType:
    row = models.Served(
        worker=EVIL, host=EVIL, state="serving", model=EVIL, target="", fingerprint="f",
        engine=EVIL, context_length=1, slots=1, size=1, memory=1, trouble="",
    )  # fmt: skip
    return models._served([row])


def shelved() -> RenderableType:
    each = Shelved(
        name=EVIL, path="/x", place="folder", engine="llamacpp", fingerprint="f", size=1, trouble=""
    )
    return models._shelf([each])


@pytest.mark.parametrize(
    "drawn",
    [users, keys, used, titles, letters, workers, queues, requests, served, shelved],
    ids=lambda drawn: drawn.__name__,
)
def test_a_row_of_a_table_is_one_line_whatever_others_have_written(
    drawn: Callable[[], RenderableType],
) -> None:
    screen = Console(width=10_000, highlight=False)
    with screen.capture() as capture:
        screen.print(drawn())
    lines = capture.get().rstrip().split("\n")
    rows = [line for line in lines if "three" in line]
    assert len(rows) == 1 and TAME in rows[0]
    assert lines[-1] == rows[0], lines
    assert not set(capture.get()) & set("\r\x1b\u2028\u202e\t")


def test_a_cell_keeps_what_is_harmless() -> None:
    assert cell("Ada  Lovelace 👩‍🔬 שלום").plain == "Ada Lovelace 👩‍🔬 שלום"

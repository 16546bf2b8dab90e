"""What is noticed while a campaign lasts, and whether it is taken for a fault: streams that break

off, and services that end by themselves.
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from mesh.protocol.events import Cancelled
from tests.chaos.__main__ import report
from tests.chaos.campaign import Outcome
from tests.chaos.clients import People
from tests.chaos.ends import NOTICED, Cut, Known
from tests.chaos.faults import CLIENTS, Faults, Left, Window
from tests.chaos.made_up import ASKED, ENDED, checked, story, trouble
from tests.chaos.mesh import Mesh, Service
from tests.chaos.plan import Ask, Client
from tests.chaos.story import Story

CANCELLED = Cancelled(uid="end")


@pytest.mark.parametrize("cut_off", [story(60), story(9, CANCELLED)], ids=["done", "cancelled"])
def test_nobody_is_cut_off_without_a_reason(cut_off: Story) -> None:
    silent = checked(cut_off, "hanger", "", pieces=3)
    assert silent.never_ended == 1 and "after 3 pieces" in silent.said[0]
    cut = checked(cut_off, "hanger", "", pieces=3, known=Known(cuts=[Cut(1, "gw1", ENDED)]))
    assert cut.never_ended == 1 and "gw1 broke its stream off" in cut.said[0]


@pytest.mark.parametrize(
    ("window", "excused"),
    [
        (trouble("gw1", "stop gateway"), True),
        (trouble(f"{CLIENTS}gw1", "cut clients"), True),
        (trouble("gw1", "stop gateway", ASKED - 9, ENDED - NOTICED), False),
        (trouble("gw1", "stop gateway", ENDED, ENDED + 9), False),
        (trouble("gw2", "stop gateway"), False),
        (trouble(f"{CLIENTS}gw2", "cut clients"), False),
        (trouble("broker", "kill broker"), False),
        (trouble("broker", "freeze broker"), False),
    ],
)
def test_a_stream_breaks_off_only_where_its_way_was_in_trouble(
    window: Window, excused: bool
) -> None:
    known = Known(windows=[window], cuts=[Cut(1, "gw1", ENDED)])
    verdict = checked(story(60), "reader", "done", known=known)
    assert verdict.clean is excused and verdict.never_ended == (not excused)


def test_a_service_that_ends_by_itself_is_told_of_with_its_status() -> None:
    verdict = checked(story(60), "reader", "done", known=Known(left=[Left("w1", -11, ENDED, "oh")]))
    assert verdict.wrong == 1 and "w1 ended by itself, with status -11: oh" in verdict.said[0]


@pytest.mark.parametrize(
    ("window", "excused"),
    [
        (trouble("store", "fill store"), False),
        (trouble("store", "kill store"), True),
        (trouble("store", "stop store"), True),
        (trouble("store", "pause store"), False),
        (trouble("store", "freeze store"), False),
        (trouble("store", "sever store"), False),
        (trouble("store", "kill store", ASKED - 9, ENDED - NOTICED), False),
        (trouble("broker", "fill broker"), False),
    ],
)
def test_a_service_ends_only_where_we_had_a_hand_in_it(window: Window, excused: bool) -> None:
    known = Known(windows=[window], left=[Left("store", 1, ENDED)])
    assert checked(story(60), "reader", "done", known=known).clean is excused


def test_a_service_that_ends_while_its_disk_is_full_is_told_of() -> None:
    known = Known(windows=[trouble("store", "fill store")], left=[Left("store", 1, ENDED, "oh")])
    verdict = checked(story(60), "reader", "done", known=known)
    assert "store ended by itself, its disk full, with status 1: oh" in verdict.said[0]


def test_a_report_says_which_faults_there_could_not_be() -> None:
    outcome = Outcome(
        verdict=checked(story(60), "reader", "done"),
        faults=Counter({"kill worker": 3}),
        left_out=Counter({"fill store": 2, "fill broker": 1}),
        why_left_out="this machine allows no namespaces",
    )
    said = report(outcome).splitlines()
    assert said[2:4] == [
        "faults 3: kill worker 3",
        "faults left out 3, for this machine allows no namespaces: fill broker 1, fill store 2",
    ]
    assert said[-1] == "no disk was full: this run says nothing of that"
    assert "left out" not in report(Outcome(outcome.verdict, Counter({"fill store": 1})))


@pytest.mark.parametrize("client", ["reader", "hanger"])
async def test_a_stream_without_an_end_is_noted(client: Client) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        event = b'id: 0\ndata: {"token":"a","index":0}\n\n'
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        people = People([url], random.Random(1), patience=2.0)
        await people.ask(Ask(1, 0.0, client, 60, 5))
    assert {(each.number, each.gateway) for each in people.door.cuts} == {(1, "gw1")}


async def test_a_service_that_has_ended_is_noted_and_started_again(tmp_path: Path) -> None:
    faults = Faults(Mesh(tmp_path, {}), random.Random(1))
    service = Service("w1", ["--no-such-option"], dict(os.environ), tmp_path)
    try:
        await faults._service("kill", service, 0.0)
        assert faults.left == []
        status, former = service.popen.wait(), service.popen
        await faults._restart_if_gone(service)
        assert [each[:2] for each in faults.left] == [("w1", status)]
        assert service.popen is not former
    finally:
        service.end()

"""`mesh dlq`: the dead letters, requests that took their workers down and are not tried again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import click
import msgspec
from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from mesh.bus.api import NO_STREAM, ApiError
from mesh.bus.appender import Fenced, persist
from mesh.bus.connection import BusError
from mesh.bus.dlq import letter_of, letters
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import fence
from mesh.cli import watch as again
from mesh.cli.fleet import connected
from mesh.cli.local import settings_of
from mesh.cli.options import options
from mesh.cli.screen import cell, duration, table
from mesh.cli.watch import listed
from mesh.protocol import subjects
from mesh.protocol.codec import decode_ask_again_reply, encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.letters import AskAgain, DeadLetter, LetterGone
from mesh.protocol.questions import Refused
from mesh.settings import OperatorSettings
from mesh_client.terminal import printable

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds for a gateway to queue a request again."""


class Summary(Struct, frozen=True, kw_only=True):
    """A dead letter in one line. at: Unix time of its end."""

    rid: str
    model: str
    tenant: str
    at: float
    workers: list[str]
    why: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a letter; asked_again_as: the new request's id, where it was retried."""

    rid: str
    dropped: bool
    asked_again_as: str | None = None


@click.group("dlq")
def command() -> None:
    """Look at dead letters, ask them again, or drop them.

    A dead letter is a request on which worker after worker was lost. It is kept for thirty days.
    """


@command.command("list")
@listed
@options(OperatorSettings, "data_dir", "nats")
def list_(watch: bool, as_json: bool, **flags: Any) -> None:
    """List the dead letters, oldest first."""

    async def shown(js: JetStream) -> None:
        async def look() -> list[Summary]:
            return [_summary(letter) for _, letter in await _letters(js)]

        await again.show(look, _listing, watch=watch, as_json=as_json, trouble=BusError)

    with suppress(KeyboardInterrupt):
        _run(flags, shown)


@command.command("show")
@click.argument("rid")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: all that is kept.")
@options(OperatorSettings, "data_dir", "nats")
def show(rid: str, as_json: bool, **flags: Any) -> None:
    """Show a dead letter with its history, and what was asked."""
    _, letter = _run(flags, lambda js: letter_of(js, rid))
    if as_json:
        click.echo(msgspec.json.encode(letter))
    else:
        _show_letter(letter)


@command.command("retry")
@click.argument("rid")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@options(OperatorSettings, "data_dir", "nats")
def retry(rid: str, as_json: bool, **flags: Any) -> None:
    """Ask a dead letter's request again, as a new one, and drop the letter."""
    outcome = _run(flags, lambda js: _ask_again(js, rid))
    _say(outcome, f"Asked again as {outcome.asked_again_as}.", as_json)


@command.command("drop")
@click.argument("rid")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@options(OperatorSettings, "data_dir", "nats")
def drop(rid: str, as_json: bool, **flags: Any) -> None:
    """Drop a dead letter: nothing of what was asked is kept in it."""
    _say(_run(flags, lambda js: _drop(js, rid)), f"Dropped {rid}.", as_json)


def _run(flags: dict[str, Any], work: Callable[[JetStream], Awaitable[T]]) -> T:
    settings = settings_of("operator", OperatorSettings, flags)

    async def run() -> T:
        async with connected(settings) as js:
            return await work(js)

    try:
        return asyncio.run(run())
    except BusError as error:
        raise MeshError(
            ErrorCode.BROKER_UNAVAILABLE, f"The broker or a gateway did not answer: {error}."
        ) from error


async def _letters(js: JetStream) -> list[tuple[int, DeadLetter]]:
    """All of them; none where no gateway has ever run."""
    try:
        return await letters(js)
    except ApiError as error:
        if error.code != NO_STREAM:
            raise
        return []


async def _ask_again(js: JetStream, rid: str) -> Outcome:
    question = AskAgain(rid=rid)
    answer = await js.bus.request(subjects.revive(js.bus.user), question, PATIENCE)
    reply = decode_ask_again_reply(answer.data)
    if isinstance(reply, Refused):
        raise MeshError(reply.code, reply.detail)
    return Outcome(rid=rid, dropped=True, asked_again_as=reply.rid)


async def _drop(js: JetStream, rid: str) -> Outcome:
    seq, letter = await letter_of(js, rid)
    subject = subjects.dead_letter(letter.request.model, rid)
    try:
        await persist(js, subject, encode(LetterGone(at=time.time())), fence(seq))
    except Fenced:
        raise MeshError(ErrorCode.CONFLICT, "Somebody else has just seen to it.") from None
    return Outcome(rid=rid, dropped=True)


def _say(outcome: Outcome, sentence: str, as_json: bool) -> None:
    click.echo(msgspec.json.encode(outcome) if as_json else sentence)


def _summary(letter: DeadLetter) -> Summary:
    request = letter.request
    return Summary(
        rid=request.rid,
        model=request.model,
        tenant=request.tenant,
        at=letter.at,
        workers=[attempt.worker for attempt in letter.attempts],
        why=letter.why,
    )


def _listing(found: list[Summary]) -> RenderableType:
    if not found:
        return Text("There are no dead letters.")
    shown = table("Dead letters", "REQUEST", "MODEL", "FOR", "SINCE", "WORKERS", shrinks=("FOR",))
    for letter in found:
        shown.add_row(
            cell(letter.rid),
            cell(letter.model),
            cell(letter.tenant),
            duration(max(0.0, time.time() - letter.at)),
            cell(", ".join(letter.workers)),
        )
    return shown


def _show_letter(letter: DeadLetter) -> None:
    request = letter.request
    click.echo(f"{request.rid} for {request.model}, asked by {request.tenant}")
    click.echo(letter.why)
    for attempt in letter.attempts:
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt.at))
        lost = "; the one before was lost" if attempt.lost else ""
        click.echo(f"  claim {attempt.n} by {attempt.worker} at {clock}{lost}")
    for message in request.messages:
        click.echo(f"\n{message.role}:\n{printable(message.content)}")
    if letter.text:
        click.echo(f"\nwhat there was of the answer:\n{printable(letter.text)}")

"""What a store has to keep of a campaign by the log, and where a database differs from it. Pure.

Said again here in as few words as go, not asked of the store's own code, which is what is checked.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import inf, nextafter
from typing import Any, Literal

from mesh.gateway.anew import void
from mesh.protocol.chats import WorkParameters
from mesh.protocol.events import Done, Failed, Queued
from tests.chaos.kept import Kept, Row, Said, Spent, Used
from tests.chaos.story import Story

Difference = tuple[Literal["lost", "wrong"], str]
"""What it counts as, and a sentence."""


def differences(stories: Sequence[Story], kept: Kept) -> Iterator[Difference]:
    """Wherever a database is another than the log of what has ended says."""
    ended = [story for story in stories if story.run.end is not None]
    for story in ended:
        yield from _of_row(story, kept)
    for story in ended:
        yield from _of_messages(story, kept)
    yield from _of_what_nobody_said(stories, kept)
    used = used_by(ended)
    for spent in sorted(used.keys() | kept.used.keys()):
        if used.get(spent) != kept.used.get(spent):
            counts = f"{kept.used.get(spent)}, the log {used.get(spent)}"
            yield "wrong", f"of {'/'.join(spent)} the database counts {counts}"


def row_of(story: Story) -> Row:
    """The row of a request, by the log."""
    run, queued = story.run, _queued(story)
    request, charge, end = queued.request, queued.charge, run.end
    number, writer = run.worker or (0, None)
    seal = end.seal if end is not None else None
    failed = end if isinstance(end, Failed) else None
    return Row(
        chat_id=queued.turn.chat_id if queued.turn is not None else None,
        tenant=request.tenant,
        key=request.key,
        client=charge.client if charge is not None else None,
        client_user=charge.user if charge is not None else None,
        model=request.model,
        parameters=_parameters(queued),
        trace=request.trace,
        reply=request.reply,
        created_at=request.created,
        deadline=request.deadline,
        state=_state(story),
        attempts=number,
        worker=writer.user if writer is not None else None,
        inc=writer.inc if writer is not None else None,
        claimed_at=story.claims[-1].at if story.claims else None,
        cancel_asked_at=story.stop_asked or None,
        ended_at=story.ended if end is not None else None,
        text=end.text if end is not None else "",
        finish=end.finish if isinstance(end, Done) else None,
        truncated=end.truncated if isinstance(end, Done) else 0,
        error_code=failed.code.value if failed is not None else None,
        error=(failed.detail or failed.code.sentence) if failed is not None else None,
        prompt_tokens=end.usage.prompt_tokens if end is not None else 0,
        completion_tokens=end.usage.completion_tokens if end is not None else 0,
        cached_tokens=end.usage.cached_tokens if end is not None else 0,
        queue_seconds=end.timings.queue if end is not None else 0.0,
        first_token_seconds=end.timings.first_token if end is not None else None,
        generate_seconds=end.timings.generate if end is not None else 0.0,
        pieces=seal.count if seal is not None else None,
        text_checksum=seal.text if seal is not None else None,
        ids_checksum=seal.ids if seal is not None else None,
    )


def messages_of(story: Story, found: Mapping[str, Said]) -> dict[str, Said]:
    """A question and its answer in their chat, by the log; none outside of chats.

    found: messages in the database, for when that was said which the question is below: it need not
    be in the log, and nothing is said before what it follows on.
    """
    queued = _queued(story)
    turn, request = queued.turn, queued.request
    if turn is None:
        return {}
    said = turn.user_message
    above = found.get(said.parent_id or "")
    asked = max(said.created, nextafter(above.created_at, inf)) if above else said.created
    answered = max(request.created, nextafter(asked, inf))
    chat, user = turn.chat_id, turn.user_id
    return {
        said.id: Said(chat, said.parent_id, "prompter", said.content, asked, user),
        story.rid: Said(chat, said.id, "assistant", None, answered, user),
    }


def used_by(stories: Sequence[Story]) -> dict[Spent, Used]:
    """What is to be charged for, by the log: of all that has ended."""
    found: defaultdict[Spent, Used] = defaultdict(lambda: Used(0, 0, 0, 0, 0))
    for story in stories:
        end, request = story.run.end, _queued(story).request
        if end is None:
            continue
        day = datetime.fromtimestamp(story.ended, UTC).date().isoformat()
        spent = Spent(day, request.tenant, request.key, request.model)
        usage = end.usage
        tokens = usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
        more = Used(1, int(isinstance(end, Failed)), *tokens)
        found[spent] = Used(*map(sum, zip(found[spent], more, strict=True)))
    return dict(found)


def _of_row(story: Story, kept: Kept) -> Iterator[Difference]:
    row, expected = kept.rows.get(story.rid), row_of(story)
    if row is None:
        yield "lost", f"#{story.number} is not in the database"
        return
    if _taken_back(story, kept):
        expected = expected._replace(chat_id=None)
    for what in _differing(row, expected):
        yield "wrong", f"#{story.number}: {what}"


def _of_messages(story: Story, kept: Kept) -> Iterator[Difference]:
    if _taken_back(story, kept):
        return
    for id, expected in messages_of(story, kept.messages).items():
        said, what = kept.messages.get(id), f"#{story.number}, its {expected.role}'s message"
        if said is None:
            yield "lost", f"{what} is not in the database"
            continue
        for differing in _differing(said, expected):
            yield "wrong", f"{what}: {differing}"


def _taken_back(story: Story, kept: Kept) -> bool:
    """Whether a request that was refused has left its place in its chat, as it may."""
    return void(story.run) and story.rid not in kept.messages


def _of_what_nobody_said(stories: Sequence[Story], kept: Kept) -> Iterator[Difference]:
    """Rows without a request. What people say may stand in a chat and not in the log."""
    answers = {id for id, said in kept.messages.items() if said.role == "assistant"}
    for rid in sorted((kept.rows.keys() | answers) - {story.rid for story in stories}):
        yield "wrong", f"the database has {rid}, and the log has not"


def _differing(found: Row | Said, expected: Row | Said) -> Iterator[str]:
    pairs: Iterator[tuple[str, Any, Any]] = zip(found._fields, found, expected, strict=True)
    for name, is_so, was_to_be in pairs:
        if is_so != was_to_be:
            yield f"the database has {name} {_brief(is_so)}, the log {_brief(was_to_be)}"


def _brief(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 100 else f"{said[:50]} … {said[-40:]} ({len(said)} characters)"


def _state(story: Story) -> str:
    end = story.run.end
    if end is None:
        return "running" if story.run.pen else "queued"
    return type(end).__name__.lower()


def _parameters(queued: Queued) -> WorkParameters:
    request, turn = queued.request, queued.turn
    return WorkParameters(
        model=request.model,
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        system_prompt=turn.system_prompt if turn is not None else "",
        user_profile=turn.user_profile if turn is not None else "",
        response_instructions=turn.response_instructions if turn is not None else "",
    )


def _queued(story: Story) -> Queued:
    assert story.run.queued is not None
    return story.run.queued

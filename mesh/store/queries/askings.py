"""What models answered when runs on a thread asked them: words that go with the thread."""

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.tool_story import rid_of
from mesh.store.models import Run

AT_ONCE = 500
"""Askings that are looked up in one statement."""


async def forget_words(session: AsyncSession, run_ids: Sequence[str]) -> None:
    """Drop the words of all askings of these runs; their measures stay."""
    step, left = 0, list(run_ids)
    while left:  # a run has asked for the next time only if it did before
        asked = {rid_of(run_id, step): run_id for run_id in left}
        rids = list(asked)
        left = []
        for at in range(0, len(rids), AT_ONCE):
            known = await _forget(session, rids[at : at + AT_ONCE])
            left += [asked[rid] for rid in known]
        step += 1


async def _forget(session: AsyncSession, rids: list[str]) -> list[str]:
    """Drop what was, and is still to be, said in answer to these; returns those that are there."""
    known = list(await session.scalars(select(Run.rid).where(Run.rid.in_(rids))))
    await session.execute(update(Run).where(Run.rid.in_(known)).values(text=""))
    going = select(Run).where(Run.rid.in_(known), Run.ended_at.is_(None))
    for run in await session.scalars(going):
        run.parameters = replace(run.parameters, store=False)
    return known

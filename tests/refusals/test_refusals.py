"""Bad input: each route has its table of refused inputs with code and sentence, and keeps to it.

The routes are those of the OpenAPI document: a new one has no table, and fails here.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.refusals import missing, table
from tests.refusals.asked import send, told
from tests.refusals.operations import Operation, operations
from tests.refusals.people import People
from tests.refusals.rows import Row
from tests.refusals.stored import Kept

EACH = pytest.mark.parametrize("operation", operations().values(), ids=operations())


def test_every_route_has_a_table() -> None:
    there = set(operations())
    own = {name for name, each in operations().items() if table.own(each)}
    without = there - own - table.NO_INPUT - table.ALL_SHARED
    assert not without, "say in tests/refusals what they refuse"
    gone = (set(table.OWN) | table.NO_INPUT | table.ALL_SHARED) - there
    assert not gone, "there are no such routes"


@EACH
def test_what_takes_nothing_is_said_to(operation: Operation) -> None:
    assert operation.takes_nothing == (operation.name in table.NO_INPUT)


@EACH
def test_what_has_to_stand_in_the_query_is_said_to(operation: Operation) -> None:
    rows = [row for row in table.alone(operation) if row.sentence.endswith("here and missing.")]
    assert [row.param for row in rows] == operation.asked_for


@EACH
def test_a_route_refuses_what_its_table_says(
    operation: Operation, people: People, kept: Callable[[], Kept]
) -> None:
    before = kept()
    rows = [*table.alone(operation), *table.of_parts(operation), *table.shared(operation)]
    rows += of_somebody_else(people, operation)
    complaints = [complaint(people, operation, row) for row in rows]
    assert not any(complaints), "\n".join(filter(None, complaints))
    after = kept()
    changed = [name for name in after if after[name] != before.get(name)]
    assert not changed, "something was kept of what was refused"


def of_somebody_else(people: People, operation: Operation) -> list[Row]:
    """What is somebody else's is refused as what is not there."""
    if operation.rule.role != "user":
        return []
    return [
        replace(row, ids={name: people.other.ids[kind] for name in row.ids})
        for row, kind in missing.rows(operation)
        if kind != "anybody"
    ]


def complaint(people: People, operation: Operation, row: Row) -> str:
    """What is wrong with the answer to a row's request; "" where nothing is."""
    sent = row.what or row.sent
    response = send(people, operation, row)
    try:
        found = told(operation, response)
    except (ValueError, KeyError):
        return f"{sent}: {response.status_code} {response.text[:200]}"
    wrong = found.status != row.answered(operation.shape) or not row.says(found.sentence)
    wrong |= found.code is not None and (found.code, found.param) != (row.code.value, row.param)
    if row.code.value in ("internal",) or not found.sentence.strip():
        wrong = True
    return f"{sent} {dict(row.ids)} {str(row.body)[:80]}: {found}" if wrong else ""

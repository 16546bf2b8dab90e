"""Rows that many routes have: what a group of routes is, and how its rows become requests. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from mesh.gateway.refusals import GENERATE
from tests.refusals.operations import Operation
from tests.refusals.rows import Row


@dataclass(frozen=True)
class Shared:
    """A row of many routes, as it stands in the page. made: its requests to one route."""

    row: Row
    made: Callable[[Operation], Iterable[Row]]
    of: Callable[[Operation], bool] = lambda operation: True

    def rows(self, operation: Operation) -> list[Row]:
        return list(self.made(operation)) if self.of(operation) else []


@dataclass(frozen=True)
class Group:
    """Rows that the same routes have. name: its heading; short: what a route's section says of
    it; about: which routes those are."""

    name: str
    short: str
    about: str
    of: Callable[[Operation], bool]
    shared: tuple[Shared, ...]


def same(row: Row, of: Callable[[Operation], bool] = lambda operation: True) -> Shared:
    """A row that is the same for each route."""
    return Shared(row, lambda operation: [row], of)


def each(row: Row, made: Callable[[Operation], Iterable[tuple[str, Any]]]) -> Shared:
    """A row for each field that `made` has a value for, which names the field."""
    return Shared(
        row,
        lambda operation: [
            _of_field(row, operation, name, value) for name, value in made(operation)
        ],
    )


def _of_field(row: Row, operation: Operation, name: str, value: Any) -> Row:
    """A row with one field. Where an answer is begun in a chat, wrong parameters of it are 422; an
    event has a sentence and nothing else, which so names the field."""
    status = 422 if name == "sampling_parameters" else 0
    sentence = f"{name}: {row.sentence}" if operation.path == GENERATE else row.sentence
    return replace(row, body={name: value}, param=name, status=status, sentence=sentence)

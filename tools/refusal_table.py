"""The tables of docs/refusals.md: what each route refuses, from the rows that the tests send."""

from collections.abc import Iterable

from msgspec import Struct

from tests.refusals import table
from tests.refusals.groups import Group
from tests.refusals.operations import Operation, operations
from tests.refusals.rows import Part, Row
from tools import markdown

HEAD = ("input", "status", "code", "sentence")

FEW = 25
"""Routes that are listed where a group of them is spoken of."""


def groups() -> str:
    """A section for each group of routes that refuse the same."""
    return "\n\n".join(map(_group, table.GROUPS))


def parts() -> str:
    """A section for each part of requests that several routes take, and which those are."""
    found: dict[str, tuple[Part, list[Operation]]] = {}
    for operation in operations().values():
        for part in table.parts(operation):
            found.setdefault(part.name, (part, []))[1].append(operation)
    return "\n\n".join(_part(part, routes) for part, routes in found.values())


def _part(part: Part, routes: list[Operation]) -> str:
    names = ", ".join(f"`{each.name}`" for each in routes)
    rows = _table(part.rows, {each.shape for each in routes})
    return f"### {_capital(part.name)}\n\nOf {names}.\n\n{rows}"


def routes() -> str:
    """A section for each route that refuses more than its groups and parts do, one for those that
    refuse just the same; and a list of the others."""
    whole = operations().values()
    sections: dict[str, list[str]] = {}
    for operation in whole:
        if table.alone(operation):
            sections.setdefault(_route(operation), []).append(f"`{operation.name}`")
    told = [f"### {', '.join(names)}\n\n{text}" for text, names in sections.items()]
    others = [
        f"- `{each.name}`. {_refers(each)}".rstrip() for each in whole if not table.alone(each)
    ]
    return "\n\n".join(
        [*told, "### All others, which have no rows of their own", "\n".join(others)]
    )


def _group(group: Group) -> str:
    shapes = {each.shape for each in operations().values() if group.of(each)}
    rows = _table((one.row for one in group.shared), shapes)
    return f"### {group.name}\n\n{group.about}{_few(group)}\n\n{rows}"


def _few(group: Group) -> str:
    """The routes of a group, if they are few."""
    names = [f"`{each.name}`" for each in operations().values() if group.of(each)]
    return f" Routes: {', '.join(names)}." if len(names) <= FEW else ""


def _route(operation: Operation) -> str:
    parts = [_refers(operation), _table(table.alone(operation), {operation.shape})]
    return "\n\n".join(filter(None, parts))


def _refers(operation: Operation) -> str:
    """Links to what a route refuses as others do."""
    names = [(group.short, group.name) for group in table.groups_of(operation)[1:]]
    names += [(part.name, _capital(part.name)) for part in table.parts(operation)]
    links = ", ".join(f"[{short}](#{_anchor(heading)})" for short, heading in names)
    return f"Besides: {links}." if links else ""


def _table(rows: Iterable[Row], shapes: Iterable[type[Struct]]) -> str:
    return markdown.table(HEAD, (_row(row, shapes) for row in rows))


def _row(row: Row, shapes: Iterable[type[Struct]]) -> tuple[str, ...]:
    """shapes: of the errors of the routes that refuse it; a status may go by them."""
    statuses = ", ".join(map(str, sorted({row.answered(shape) for shape in shapes})))
    cells = (row.sent, statuses, f"`{row.code.value}`", row.sentence)
    return tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in cells)


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _anchor(heading: str) -> str:
    """How a heading is linked to."""
    kept = "".join(each for each in heading.lower() if each.isalnum() or each in " -_")
    return kept.replace(" ", "-")

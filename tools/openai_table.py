"""The tables of docs/openai.md: the parameters of each route, as the gateway treats them."""

import msgspec

from mesh.gateway.openai import parameters
from mesh.gateway.openai.parameters import Parameter, Table


def chat() -> str:
    return _table(parameters.CHAT)


def text() -> str:
    return _table(parameters.TEXT)


def responses() -> str:
    return _table(parameters.RESPONSES)


def embeddings() -> str:
    return _table(parameters.EMBEDDINGS)


def _table(table: Table) -> str:
    rows = [_row(name, parameter) for name, parameter in table.items()]
    return "\n".join(["| parameter | | |", "|---|---|---|", *rows])


def _row(name: str, known: Parameter) -> str:
    harmless = ", ".join(f"`{msgspec.json.encode(value).decode()}`" for value in known.harmless)
    treatment = f"{known.treatment} ({harmless})" if harmless else str(known.treatment)
    return f"| `{name}` | {treatment} | {known.note} |"

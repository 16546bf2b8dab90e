"""Reads request bodies and writes replies, where the framework's own way would not do.

Its decoding answers some bad bodies with 500; its encoding goes by a type that has one name.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
from litestar import Response
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.protocol.errors import ErrorCode, MeshError

S = TypeVar("S", bound=Struct)
T = TypeVar("T")

_PLACE = " - at `$"
_KEY = " - at `key` in `$"

_NAMING = {
    "Object contains unknown field `": "There is no parameter {param!r} here; leave it out",
    "Object missing required field `": "The parameter {param!r} is needed here and missing",
}
"""How the decoder begins where it names a field without its place, and what is said instead."""

SHOWN = 200
"""Characters of a name that nobody knows, in the sentence that refuses it."""


async def read_body(request: AnyRequest, kind: type[S]) -> S:
    """The body as a Struct. Raises MeshError (bad_request), naming the field at fault.

    A handler that reads one says so with `body=kind`, for the OpenAPI document.
    """
    return decode_body(await request.body(), kind)


def decode_body(data: bytes, kind: type[T]) -> T:
    """A body of any kind; an empty one counts as `{}`. Raises MeshError as `read_body`."""
    try:
        str(data, "utf-8")  # the decoder does not look into fields that are not asked for
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _wrong(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"The body is not valid JSON in UTF-8: {error}."
        ) from error


@contextmanager
def named_as_sent(**fields: str) -> Iterator[None]:
    """Within it refusals name the fields that were sent, where the store calls them otherwise:

    `password="new"` for a password that was sent as `new`.
    """
    try:
        yield
    except MeshError as error:
        error.param = fields.get(error.param or "", error.param)
        raise


def _wrong(said: str) -> MeshError:
    """What the decoder finds wrong, with the full name of the field at fault."""
    what, _, where = said.replace(_KEY, _PLACE).partition(_PLACE)
    param = where.rstrip("`").removeprefix(".")
    for begins, sentence in _NAMING.items():
        if what.startswith(begins):
            name = what.removeprefix(begins).rstrip("`")[:SHOWN]
            param = f"{param}.{name}" if param else name
            what = sentence.format(param=param)
    return MeshError(ErrorCode.BAD_REQUEST, f"{what}.", param=param or None)


def as_json(body: object, status: int = 200) -> Response[bytes]:
    """A reply whose type is one of several, or has no name of its own."""
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")

"""Reads request bodies. The framework's own decoding would answer some bad ones with 500."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from mesh.gateway.errors import AnyRequest
from mesh.protocol.errors import ErrorCode, MeshError

S = TypeVar("S", bound=Struct)
T = TypeVar("T")


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
        what, _, where = str(error).partition(" - at `")
        param = where.rstrip("`").removeprefix("$.").removeprefix("$") or None
        raise MeshError(ErrorCode.BAD_REQUEST, f"{what}.", param=param) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MeshError(
            ErrorCode.BAD_REQUEST, f"The body is not valid JSON in UTF-8: {error}."
        ) from error

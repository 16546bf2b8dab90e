"""Lists of objects in pages, after OpenAI's API: from `after` the id of the last one on."""

from collections.abc import Sequence
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from litestar.params import QueryParameter
from msgspec import Struct


class Known(Protocol):
    """What has an id."""

    id: str


T = TypeVar("T", bound=Known)

PageLimit = Annotated[int, QueryParameter(ge=1, le=100)]


class ObjectList(Struct, Generic[T]):
    """A page of a list."""

    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


def listed(found: Sequence[T], more: bool) -> ObjectList[T]:
    """A page. more: whether others follow."""
    data = list(found)
    return ObjectList(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=more,
    )

"""What was used, by day, user, key and model; and the limits: what is left, and setting them."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date
from typing import Annotated

import msgspec
from litestar import get, put
from litestar.params import FromPath, QueryParameter
from msgspec import Struct
from msgspec.structs import asdict, replace

from mesh.gateway.body import SHOWN, read_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Services, Wired
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.limits import (
    Allowance,
    Allowed,
    GetAllowance,
    GetUsage,
    Place,
    SetAllowance,
    UsageRow,
)

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Since = Annotated[str, QueryParameter(name="since")]
Until = Annotated[str, QueryParameter(name="until")]
OfKey = Annotated[str, QueryParameter(name="key", max_length=100)]
OfModel = Annotated[str, QueryParameter(name="model", max_length=1000)]
After = Annotated[str, QueryParameter(name="after", max_length=4000)]
OfUser = Annotated[str, QueryParameter(name="user", max_length=200)]


class UsageRead(Struct, frozen=True, kw_only=True):
    """What was used on a day (UTC) by a user, with a key ("": with none), of a model.

    requests: that have ended; failed: of these.
    """

    day: str
    user: str
    key: str
    model: str
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class UsageList(Struct, frozen=True):
    """By day, user, key and model, 10,000 at most. next: `after` of the next page, null where this
    was all."""

    usage: tuple[UsageRead, ...]
    next: str | None


class LimitsBody(Allowed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user or a key may ask for. null: as everybody, of a key: as its user; 0: no limit.

    requests, tokens: in each minute; concurrent: not ended yet; daily_tokens: in a day (UTC);
    weight: the share of the turns where others wait, 1 is usual; priority: the highest one.
    """


class LimitRead(Struct, frozen=True, kw_only=True):
    """A limit. name: requests, tokens, concurrent, daily-tokens or messages (answers in chats);
    remaining: what is left of it; reset: seconds until all of it is there again."""

    name: str
    limit: int
    remaining: int
    reset: float


class LimitList(Struct, frozen=True):
    """The limits that there are for somebody."""

    limits: tuple[LimitRead, ...]


@get("/account/usage")
async def own_usage(
    request: AnyRequest,
    services: Wired,
    since: Since = "",
    until: Until = "",
    key: OfKey = "",
    model: OfModel = "",
    after: After = "",
) -> UsageList:
    """What one has used oneself, with all keys and without."""
    user = services.doorman.signed_in(request)
    query = GetUsage(user=user.user_id, key=key, model=model, since=since, until=until)
    return await _usage(services, query, after)


@get("/account/limits")
async def own_limits(request: AnyRequest, services: Wired) -> LimitList:
    """What is left of one's limits, as the headers of each answer have it."""
    who = services.doorman.principal(request)
    await services.limiter.learn(who.user_id, who.key)
    rooms = services.limiter.rooms(who.user_id, who.key)
    return LimitList(
        tuple(
            LimitRead(name=name, limit=room.limit, remaining=room.left, reset=room.reset)
            for name, room in rooms.items()
        )
    )


@put("/account/keys/{key_id:str}/limits", body=LimitsBody)
async def limit_key(request: AnyRequest, services: Wired, key_id: FromPath[str]) -> LimitsBody:
    """Limit a key of one's own further, from now on, at every gateway."""
    user = services.doorman.in_person(request)
    body = await read_body(request, LimitsBody)
    query = SetAllowance(user=user.user_id, key_id=key_id, allowance=_allowance(body))
    return limits_read(await services.store.ask(query))


@get("/admin/usage")
async def all_usage(
    request: AnyRequest,
    services: Wired,
    since: Since = "",
    until: Until = "",
    user: OfUser = "",
    key: OfKey = "",
    model: OfModel = "",
    after: After = "",
) -> UsageList:
    """What everybody has used, or one of them. For admins."""
    services.doorman.signed_in(request)
    query = GetUsage(user=user, key=key, model=model, since=since, until=until)
    return await _usage(services, query, after)


@get("/admin/users/{user_id:str}/limits")
async def user_limits(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> LimitsBody:
    """What was said of somebody's limits; null: as everybody. For admins."""
    services.doorman.signed_in(request)
    return limits_read(await services.store.ask(GetAllowance(user=user_id)))


@put("/admin/users/{user_id:str}/limits", body=LimitsBody)
async def limit_user(request: AnyRequest, services: Wired, user_id: FromPath[str]) -> LimitsBody:
    """Set somebody's limits, from now on, at every gateway. For admins."""
    services.doorman.signed_in(request)
    body = await read_body(request, LimitsBody)
    return limits_read(
        await services.store.ask(SetAllowance(user=user_id, allowance=_allowance(body)))
    )


async def _usage(services: Services, query: GetUsage, after: str) -> UsageList:
    """after: the `next` of the page before, or "". Raises MeshError: bad_request for a day that no
    calendar has, and for an `after` that was no `next`."""
    _check_day(query.since, "since")
    _check_day(query.until, "until")
    found = await services.store.ask(replace(query, after=_place(after) if after else None))
    return UsageList(tuple(map(_row, found.rows)), _cursor(found.next) if found.next else None)


def _cursor(place: Place) -> str:
    """The place of a page's last row, as one word for an address."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _place(cursor: str) -> Place:
    """Raises MeshError (bad_request)."""
    try:
        place: Place = msgspec.json.decode(urlsafe_b64decode(cursor), type=Place)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        detail = "after is the `next` of the page before; this is none. Begin without it."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param="after") from error
    return place


def _check_day(day: str, param: str) -> None:
    if day and not _is_day(day):
        told = day[:SHOWN]
        detail = f"{param} is a day of the calendar, written as 2026-11-21; {told} is none."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=param)


def _is_day(text: str) -> bool:
    """Whether a text is a day, spelled as the store has it, which compares them as texts."""
    try:
        return DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _row(row: UsageRow) -> UsageRead:
    return UsageRead(
        day=row.day,
        user=row.user,
        key=row.key,
        model=row.model,
        requests=row.requests,
        failed=row.failed,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cached_tokens=row.cached_tokens,
    )


def _allowance(body: LimitsBody) -> Allowance:
    return Allowance(**asdict(body))


def limits_read(found: Allowance) -> LimitsBody:
    return LimitsBody(**asdict(found))

"""Looks at a mesh from outside: its folder, broker, streams, store, workers and gateway.

Gathers facts and changes nothing; what they mean is decided in `mesh.cli.findings`.
"""

import asyncio
import http.client
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from mesh.bus.api import StreamInfo
from mesh.bus.connection import BusError, NoResponders
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import unix
from mesh.bus.topology import streams as declared
from mesh.bus.trust import is_loopback
from mesh.cli import broker, findings
from mesh.cli.findings import Finding, fail, ok, warn
from mesh.cli.fleet import Queue, connected, models_queues, workers_present
from mesh.cli.join import own_address
from mesh.cli.privacy import folder
from mesh.cli.screen import size
from mesh.gateway.budget import FULL
from mesh.protocol import subjects
from mesh.protocol.chats import GetHealth, Health
from mesh.protocol.codec import decode_reply
from mesh.protocol.errors import MeshError
from mesh.settings import OperatorSettings

BUDGETED = (subjects.RUN_STREAM, subjects.REQ_STREAM)
"""What requests fill."""

TIMEOUT = 3.0
"""Seconds that anybody may take to answer."""


class GatewayHealth(Struct):
    """What /v1/health says."""

    status: str
    broker: str = ""
    store: str = ""
    workers: int = 0


async def examine(settings: OperatorSettings, database: Path, gateway: str) -> list[Finding]:
    """All there is to find. database: the store's; gateway: its URL; a password may be missing."""
    found = list(folder(settings.data_path, database, remote=bool(settings.operator_password)))
    looked = len(found)
    streams: dict[str, StreamInfo] = {}
    try:
        async with connected(settings) as js:
            found += await _by_broker(js, settings, streams)
    except MeshError as error:
        found.append(fail("broker", error.detail))
    found.insert(looked, disk(settings, streams))
    found.append(await asyncio.to_thread(gateway_health, gateway))
    found += await asyncio.to_thread(exposed, settings, gateway)
    return found


def disk(settings: OperatorSettings, streams: dict[str, StreamInfo]) -> Finding:
    """Whether the disk has the room that the streams may take."""
    limits = {
        subjects.RUN_STREAM: settings.run_max_bytes,
        subjects.REQ_STREAM: settings.req_max_bytes,
    }
    room = 0
    for name, limit in limits.items():
        info = streams.get(name)
        room += limit if info is None else max(0, info.config.max_bytes - info.state.bytes)
    existing = next(
        place for place in (settings.data_path, *settings.data_path.parents) if place.exists()
    )
    return findings.disk(shutil.disk_usage(existing).free, room, str(settings.data_path))


# --- the broker and what it knows -----------------------------------------------------------------


async def _by_broker(
    js: JetStream, settings: OperatorSettings, streams: dict[str, StreamInfo]
) -> list[Finding]:
    """All that only the broker can tell; `streams` is filled on the way."""
    found = [ok("broker", f"nats-server {js.bus.server_version} lets the operator in.")]
    looks: tuple[Callable[[], Awaitable[list[Finding]]], ...] = (
        lambda: _streams(js, settings, streams),
        lambda: _store(js, streams),
        lambda: _fleet(js, streams, settings.max_waiting),
    )
    for look in looks:
        try:
            found += await look()
        except BusError as error:
            found.append(fail("broker", f"The broker did not answer: {error}. Look at its log."))
    return found


async def _streams(
    js: JetStream, settings: OperatorSettings, streams: dict[str, StreamInfo]
) -> list[Finding]:
    there = await js.stream_names()
    for name in BUDGETED:
        if name in there:
            asked = time.time()
            streams[name] = await js.stream_info(name)
            skew = unix(streams[name].ts) - (asked + time.time()) / 2
    found = [findings.clock(skew)] if streams else []
    found += findings.streams([each.name for each in declared(settings) if each.name not in there])
    return [*found, *_budgets(streams)]


def _budgets(streams: dict[str, StreamInfo]) -> Iterator[Finding]:
    log, queue = streams.get(subjects.RUN_STREAM), streams.get(subjects.REQ_STREAM)
    if log is not None:
        used, limit = log.state.bytes, log.config.max_bytes
        spelled = f"The log holds {size(used)} of {size(limit)}"
        advice = "raise MESH_RUN_MAX_BYTES, or lower MESH_RUN_MAX_AGE, and restart the gateway."
        yield findings.budget("log", used, limit, spelled, advice, refused_at=FULL)
    if queue is not None:
        used, limit = queue.state.messages, queue.config.max_msgs
        spelled = f"The queue holds {used} of {limit} requests"
        advice = "add workers, or raise MESH_REQ_MAX_MSGS and restart the gateway."
        yield findings.budget("queue", used, limit, spelled, advice)
        used, limit = queue.state.bytes, queue.config.max_bytes
        spelled = f"The queue holds {size(used)} of {size(limit)}"
        advice = "add workers, or raise MESH_REQ_MAX_BYTES and restart the gateway."
        yield findings.budget("queue", used, limit, spelled, advice)


async def _store(js: JetStream, streams: dict[str, StreamInfo]) -> list[Finding]:
    advice = "Answers still stream, but chats cannot be read or begun: start it with `mesh store`."
    try:
        answer = await js.bus.request(subjects.store("get_health"), GetHealth(), TIMEOUT)
    except NoResponders:
        return [fail("store", f"The store is not there. {advice}")]
    except BusError as error:
        return [fail("store", f"The store does not answer ({error}). {advice}")]
    health = decode_reply(answer.data)
    if not isinstance(health, Health):
        return [fail("store", f"The store cannot say how it is. {advice}")]
    log = streams.get(subjects.RUN_STREAM)
    if log is None:
        return []
    kept = log.config.max_age / 1e9
    return findings.store(health, await _behind(js, health.applied, unix(log.ts)), kept)


async def _behind(js: JetStream, applied: int, now: float) -> float:
    """Seconds since the oldest event that the store has not applied; 0: it has them all."""
    missing = await js.next(subjects.RUN_STREAM, subjects.RUN_EVENTS, applied + 1)
    return 0.0 if missing is None else max(0.0, now - missing.at)


async def _fleet(js: JetStream, streams: dict[str, StreamInfo], max_waiting: int) -> list[Finding]:
    present = await workers_present(js)
    models = await models_queues(js, present)
    stray = await _stray(js, models) if subjects.REQ_STREAM in streams else 0
    return [*findings.workers(present), *findings.queues(models, stray, max_waiting)]


async def _stray(js: JetStream, models: list[Queue]) -> int:
    """Prompts that no model's consumer will ever hand out."""
    known = {subjects.consumer(queue.model) for queue in models}
    count, at = 0, 1
    info = await js.stream_info(subjects.REQ_STREAM)
    if info.state.messages <= sum(queue.waiting + queue.in_work for queue in models):
        return 0
    while (item := await js.next(subjects.REQ_STREAM, subjects.REQ_ALL, at)) is not None:
        at = item.seq + 1
        count += item.subject.split(".")[2].rstrip("+") not in known
    return count


# --- the gateway, and who else reaches it ---------------------------------------------------------


def gateway_health(url: str) -> Finding:
    """What the gateway says of itself."""
    try:
        _, body = _get(url, "/v1/health")
        health = msgspec.json.decode(body, type=GatewayHealth)
    except (OSError, http.client.HTTPException) as error:
        return fail(
            "gateway",
            f"No gateway answers at {url} ({_why(error)}): start one with `mesh gateway`, or name "
            "another with MESH_HOST and MESH_PORT.",
        )
    except msgspec.DecodeError:
        return fail("gateway", f"What answers at {url} is no gateway: is MESH_PORT another's?")
    match health.status:
        case "ok":
            return ok("gateway", f"{url} answers prompts.")
        case "degraded":
            return warn("gateway", f"{url} answers prompts, but has no store: chats do not work.")
        case _:
            lacks = "no broker" if health.broker != "ok" else "no worker"
            return fail("gateway", f"{url} cannot answer prompts: it has {lacks}.")


def exposed(settings: OperatorSettings, gateway: str) -> list[Finding]:
    """Whether others reach the services of this machine, found out by trying."""
    own = own_address()
    parts = urlsplit(gateway)
    at_gateway = _reaches(own, parts.hostname or "", parts.port or 80)
    at_broker = _reaches(own, *broker.address(settings.servers[0]))
    any_name = bool(at_gateway) and _answers_to_any_name(gateway)
    return findings.exposure(at_gateway, any_name, at_broker, tls=bool(settings.nats_ca))


def _reaches(own: str, host: str, port: int) -> str | None:
    """The address by which others reach a service of this machine; None if they do not."""
    if not is_loopback(host) and host != own:
        return None  # it is on another machine: not ours to judge
    try:
        with socket.create_connection((own, port), timeout=1.0):
            return None if is_loopback(own) else f"{own}:{port}"
    except OSError:
        return None


def _answers_to_any_name(url: str) -> bool:
    try:
        status, _ = _get(url, "/v1/health", {"Host": "doctor.invalid"})
    except (OSError, http.client.HTTPException):
        return False
    return status != 403


def _why(error: Exception) -> str:
    """An error of the network in a few words."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _get(url: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()

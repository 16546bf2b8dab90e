"""What the facts about a mesh mean: fine, soon a trouble, or a trouble, and what to do. Pure."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

import mesh
from mesh.cli.fleet import Queue
from mesh.cli.screen import count, duration, size
from mesh.protocol.chats import Health
from mesh.protocol.worker_info import WorkerInfo

WARN, FAIL = 0.6, 0.8
"""Shares of a budget, from which on there is something to do: soon, and now."""

MIB = 1 << 20
LOW_DISK = 512 * MIB
SPARE_DISK = 1024 * MIB
SKEW_WARN, SKEW_FAIL = 2.0, 30.0
"""Seconds between two clocks: deadlines and tokens are times that several machines compare."""
BEHIND = 10.0
"""Seconds that the store may be behind the log."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. `sentence` says how it is and, unless ok, what to do."""

    check: str
    state: Literal["ok", "warn", "fail"]
    sentence: str


def ok(check: str, sentence: str) -> Finding:
    return Finding(check, "ok", sentence)


def warn(check: str, sentence: str) -> Finding:
    return Finding(check, "warn", sentence)


def fail(check: str, sentence: str) -> Finding:
    return Finding(check, "fail", sentence)


def budget(
    check: str, used: int, limit: int, spelled: str, advice: str, refused_at: float = 1.0
) -> Finding:
    """What there is of something against its limit; `spelled` names what is used, with its unit.

    refused_at: the share from which on new requests are refused; 1: where one finds no room.
    """
    if limit <= 0:
        return ok(check, f"{spelled}, without a limit.")
    share = used / limit
    sentence = f"{spelled} ({share:.0%})."
    if share < WARN:
        return ok(check, sentence)
    if share >= refused_at:
        refused = "New requests are refused"
    elif refused_at < 1.0:
        refused = f"From {refused_at:.0%} on new requests are refused"
    else:
        refused = "New requests are refused where there is no room left for them"
    return (fail if share >= FAIL else warn)(check, f"{sentence} {refused}: {advice}")


def streams(missing: Sequence[str]) -> list[Finding]:
    """missing: those that a gateway declares and the broker has not."""
    if not missing:
        return []
    which, them = ("are no streams", "them") if missing[1:] else ("is no stream", "it")
    advice = f"start a gateway, or start it again, which declares {them}."
    return [fail("streams", f"There {which} {', '.join(missing)}: {advice}")]


def disk(free: int, room: int, folder: str) -> Finding:
    """free: bytes left where the data folder is; room: what the streams may still grow by."""
    sentence = f"{size(free)} are free on the disk of {folder}"
    if free < LOW_DISK:
        return fail("disk", f"{sentence}: the broker will soon refuse to store. Make room now.")
    if free < room + SPARE_DISK:
        return warn(
            "disk",
            f"{sentence}, but the streams may grow by {size(room)} yet: make room, or lower "
            "MESH_RUN_MAX_BYTES and MESH_REQ_MAX_BYTES.",
        )
    return ok("disk", f"{sentence}.")


def clock(skew: float) -> Finding:
    """skew: seconds by which the broker's clock is ahead of this machine's."""
    if abs(skew) < SKEW_WARN:
        return ok("clock", "The broker's clock and this machine's agree.")
    ahead = "ahead of" if skew > 0 else "behind"
    sentence = (
        f"The broker's clock is {duration(abs(skew))} {ahead} this machine's: deadlines and "
        "sign-in tokens go wrong. Switch time synchronisation (NTP) on, on both."
    )
    return fail("clock", sentence) if abs(skew) >= SKEW_FAIL else warn("clock", sentence)


def store(health: Health, behind: float, kept: float) -> list[Finding]:
    """behind: seconds since the oldest event that is not in the database yet; kept: the log's."""
    found = [_lag(behind, kept)]
    if health.skipped:
        found.append(
            warn(
                "store",
                f"{count(health.skipped, 'message')} of the log could not be understood, so the "
                "database lacks them: was the mesh upgraded in part? Upgrade the store too.",
            )
        )
    return [*found, _database(health)]


def _lag(behind: float, kept: float) -> Finding:
    if behind <= BEHIND:
        return ok("store", "The store has everything that stands in the log.")
    sentence = f"The store is {duration(behind)} behind the log"
    if behind >= kept / 2:
        return fail(
            "store",
            f"{sentence}, which is kept for {duration(kept)} only: chats will lose messages. Look "
            "into the store's own log lines now, and raise MESH_RUN_MAX_AGE meanwhile.",
        )
    return warn("store", f"{sentence}: it is busy catching up, or its disk is slow.")


def _database(health: Health) -> Finding:
    used, free = health.database_bytes, health.free_bytes
    sentence = f"The database holds {size(used)}; {size(free)} are free on its disk"
    if free < LOW_DISK / 2:
        return fail("database", f"{sentence}: chats will soon not be kept. Make room now.")
    if free < max(used, LOW_DISK):
        return warn(
            "database",
            f"{sentence}, less than it may need to grow: make room, or lower MESH_RETENTION_DAYS.",
        )
    most = health.database_max_bytes
    if most and used > WARN * most:
        return warn(
            "database",
            f"The database holds {size(used)} of the {size(most)} that it may: beyond them runs "
            "and worker events are forgotten before MESH_RETENTION_DAYS. Raise "
            "MESH_DATABASE_MAX_BYTES, or delete chats.",
        )
    return ok("database", f"{sentence}.")


def workers(present: Sequence[WorkerInfo]) -> list[Finding]:
    """The workers that are there."""
    if not present:
        return [fail("workers", "No worker is there: start one with `mesh worker`.")]
    found = []
    serving = [worker for worker in present if not worker.draining]
    names = ", ".join(worker.name for worker in present)
    slots = sum(worker.slots for worker in serving)
    if serving:
        found.append(ok("workers", f"{len(present)} there ({names}), with {count(slots, 'slot')}."))
    else:
        found.append(
            fail("workers", f"All workers are leaving ({names}): start one with `mesh worker`.")
        )
    for worker in present:
        if worker.version != mesh.__version__:
            found.append(
                warn(
                    "workers",
                    f"{worker.name} runs version {worker.version} of the mesh, this machine "
                    f"{mesh.__version__}: upgrade the older of the two.",
                )
            )
    return found


def queues(models: Sequence[Queue], stray: int, most: int) -> list[Finding]:
    """The queue of each model. stray: prompts in the queue that belong to none of them; most:
    requests that may wait for one of them."""
    found = [_queue(queue, most) for queue in models]
    if stray > 0:
        found.append(
            fail(
                "queue",
                f"{count(stray, 'prompt')} in the queue where no worker will ever look: "
                "their models' consumers are gone. Start a worker of the model again, which "
                "declares them.",
            )
        )
    return found


def _queue(queue: Queue, most: int) -> Finding:
    check = f"model {queue.model}"
    if queue.workers:
        ahead = max(0, queue.in_work - queue.slots)  # at a worker, but none has begun with them
        waiting = queue.waiting + ahead
        there = f"{queue.in_work - ahead} in work, {count(queue.slots, 'slot')}"
        if waiting < WARN * most:
            return ok(check, f"{waiting} waiting, {there}.")
        spelled = f"{there}; {waiting} of {most} wait that may"
        advice = "add workers of it, or raise MESH_MAX_WAITING and restart the gateway."
        return budget(check, waiting, most, spelled, advice)
    if queue.waiting or queue.in_work:
        unfinished = count(queue.waiting + queue.in_work, "request")
        return fail(
            check,
            f"{unfinished} without an end, and no worker serves it: start one with "
            "`mesh worker`, or they fail at their deadline.",
        )
    return warn(check, "No worker serves it now; requests for it are refused.")


def exposure(
    gateway: str | None, any_name: bool, broker: str | None, tls: bool = False
) -> list[Finding]:
    """Where gateway and broker can be reached from other machines (None: they cannot be).

    any_name: whether the gateway answers whatever Host it is called by; tls: whether the broker
    speaks nothing else.
    """
    found = []
    if gateway:
        found.append(
            warn(
                "exposure",
                f"Other machines reach the gateway at {gateway}, and what they say is not "
                "encrypted: put a TLS proxy before it, or use a network you trust.",
            )
        )
        if any_name:
            found.append(
                fail(
                    "exposure",
                    "The gateway answers to every Host name, so a web page can reach it through a "
                    "name of its own: name yours in MESH_ALLOWED_HOSTS.",
                )
            )
    if broker and tls:
        found.append(ok("exposure", f"Other machines reach the broker at {broker}, by TLS only."))
    elif broker:
        found.append(
            warn(
                "exposure",
                f"Other machines reach the broker at {broker}, and what they say is not encrypted: "
                "start it again with `mesh up`, which makes it a certificate, or set "
                "MESH_NATS_HOST=127.0.0.1.",
            )
        )
    alone = "Other machines reach neither gateway nor broker, unless a proxy is between."
    return found or [ok("exposure", alone)]

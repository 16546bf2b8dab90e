"""The store as a service: wires database, log and queries together. Decides nothing itself."""

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial

from mesh.bus.clock import Clock, brokers
from mesh.bus.connection import Bus, BusError
from mesh.bus.insisting import Insisting
from mesh.bus.jetstream import JetStream
from mesh.bus.lasting import Lasting
from mesh.bus.stopping import first, unless
from mesh.bus.tail import Tail
from mesh.bus.versions import refuse_other_protocol
from mesh.metrics import served
from mesh.protocol import subjects
from mesh.protocol.codec import decode_query
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.queries import Reply
from mesh.protocol.questions import Refused
from mesh.settings import StoreSettings
from mesh.store import overwriting, refusals, retention, schema
from mesh.store.accounts import Accounts
from mesh.store.database import Database
from mesh.store.dispatch import Dispatcher
from mesh.store.first_admin import first_admin
from mesh.store.follower import Follower
from mesh.store.meters import Meters
from mesh.store.mirror import Mirror

log = logging.getLogger(__name__)

USER = "store"
QUEUE = "store"
"""Each query is answered by one of the stores that may be running."""


async def run(settings: StoreSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set or the connection ends; what was begun is finished.

    Raises MeshError when the database or the broker cannot be used, or when what has to go on has
    failed.
    """
    await asyncio.to_thread(schema.upgrade, settings.database_path)
    database = Database(settings.database_path)
    try:
        connecting = Bus.connect(
            settings.servers, USER, settings.store_password, USER, settings.nats_ca
        )
        bus = await unless(stop, connecting)
        if bus is not None:
            try:
                await _serve(bus, database, settings, stop)
            finally:
                await bus.close()
    finally:
        await database.close()


async def _serve(
    bus: Bus, database: Database, settings: StoreSettings, stop: asyncio.Event
) -> None:
    js = JetStream(bus)
    await unless(stop, Insisting(bus).on(partial(refuse_other_protocol, js, "store")))
    if stop.is_set():
        return
    clock, told = Clock(), partial(brokers, js, subjects.RUN_STREAM)
    with suppress(BusError):  # without a log there is nobody yet whose tokens could be compared
        await clock.learn(told)
    tail = Tail(bus, js)
    follower = Follower(database, tail)
    mirror = Mirror(database, js)
    accounts = Accounts(database, mirror, settings.refresh_leeway, clock)
    await first_admin(accounts, settings.data_path)
    dispatcher = Dispatcher(database, follower, settings, accounts, clock)
    meters = Meters(follower, database, settings.database_max_bytes)
    lasting = Lasting()

    async def answer(subject: str, data: bytes) -> Reply:
        query, began = decode_query(data), time.perf_counter()
        name = str(query.__struct_config__.tag)
        if subject != subjects.store(name):
            raise refusals.bad(f"This query does not belong on {subject}.")
        reply = await dispatcher.serve(query)
        meters.answered(name, reply, time.perf_counter() - began)
        said = reply.code.value if isinstance(reply, Refused) else "answered"
        log.debug("%s: %s", name, said)
        return reply

    with served(meters.registry, settings.metrics_port):
        try:
            lasting.start(follower.run())
            lasting.start(mirror.run())
            lasting.start(clock.keep(told))
            lasting.start_again(partial(retention.run, database, settings))
            lasting.start(overwriting.run(database))
            await bus.serve(subjects.STORE_ALL, answer, QUEUE)
            log.info("The store keeps %s", database.path)
            await first(stop, bus.closed, lasting.failed)
            lasting.check()
        finally:
            await lasting.close()
    if not stop.is_set():
        raise MeshError(ErrorCode.BROKER_UNAVAILABLE, "The broker ended the connection for good.")

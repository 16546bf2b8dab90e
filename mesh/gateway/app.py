"""Wires one gateway process: broker, followers, HTTP server; stops in good order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from litestar import Litestar
from litestar.di import Provide
from litestar.types import ASGIApp

from mesh.bus.clock import Clock, brokers
from mesh.bus.connection import Bus, BusError
from mesh.bus.follow import OnEvent
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import Fleet
from mesh.bus.stopping import unless
from mesh.bus.tail import Tail
from mesh.bus.topology import declare
from mesh.gateway.accounts import Accounts
from mesh.gateway.ask.quota import Quota
from mesh.gateway.crowd import Crowd
from mesh.gateway.dead_letters import DeadLetters
from mesh.gateway.door import Door, Rules
from mesh.gateway.doorman import Doorman
from mesh.gateway.elsewhere import check_elsewhere
from mesh.gateway.errors import HANDLERS, AnyRequest
from mesh.gateway.failures import Failures
from mesh.gateway.head import Head
from mesh.gateway.lanes import Lanes
from mesh.gateway.limits.counts import Counts
from mesh.gateway.limits.limiter import Limiter, messages
from mesh.gateway.limits.telling import tell
from mesh.gateway.living import Living
from mesh.gateway.lookout import Lookout
from mesh.gateway.lost import report_lost
from mesh.gateway.metrics.counting import Counting
from mesh.gateway.metrics.meters import Meters
from mesh.gateway.metrics.state import State
from mesh.gateway.models import Models
from mesh.gateway.oauth.providers import providers
from mesh.gateway.oauth.site import Site
from mesh.gateway.queue import Queue
from mesh.gateway.recovery import recover
from mesh.gateway.requests import Requests
from mesh.gateway.resume import Resumer
from mesh.gateway.routes import ROUTES
from mesh.gateway.runs.conductor import Conductor
from mesh.gateway.runs.telling import Telling
from mesh.gateway.seen import Seen
from mesh.gateway.services import Services
from mesh.gateway.store import Store
from mesh.gateway.stream import Streams
from mesh.gateway.sweeper import Sweeper
from mesh.gateway.takeover import TakeOver
from mesh.gateway.tokens import Tokens, signing_key
from mesh.gateway.traces.telling import Traces
from mesh.gateway.trusted_clients import TrustedClients
from mesh.gateway.unfinished import Unfinished
from mesh.gateway.usher import Hear, Usher
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import Hello, HelloReply, RunEvent
from mesh.protocol.subjects import RunSubject
from mesh.settings import GatewaySettings

log = logging.getLogger(__name__)

LEAVE = 3.0
"""Seconds that the HTTP server may take to stop."""

PRIVATE = "Listening on %s port %d, for this machine only: guests need no account"
PUBLIC = "Listening on %s port %d, for the network: nobody gets in without an account"

QUEUE = "gateways"
"""The queue group in which gateways share the workers' questions."""


async def run(settings: GatewaySettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises MeshError when it cannot begin, or cannot go on."""
    services = await unless(stop, _begin(settings))
    if services is None:
        return
    try:
        await _serve(services, stop)
    finally:
        await services.streams.settle()
        await services.requests.close()
        await services.accounts.report()
        await services.bus.close()


async def _begin(settings: GatewaySettings) -> Services:
    bus = await Bus.connect(
        settings.servers,
        "gateway",
        settings.gateway_password,
        settings.gateway_name,
        settings.nats_ca,
    )
    try:
        return await _open(settings, bus)
    except BaseException:
        await asyncio.shield(bus.close())
        raise


async def _serve(services: Services, stop: asyncio.Event) -> None:
    settings = services.settings
    server = Server(
        create_app(services),
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(keep_alive=True),
        websockets=False,
        backlog=2048,
        log_level=LogLevels.error,
    )
    serving = asyncio.create_task(server.serve())
    log.info(PRIVATE if settings.private else PUBLIC, settings.host, settings.port)
    broken = asyncio.create_task(services.bus.closed.wait())
    doubled = asyncio.create_task(services.living.namesake.wait())
    try:
        if await _first(stop, serving, broken, doubled):
            raise _doubled(settings) if doubled.done() else _failure(settings, serving)
    finally:
        broken.cancel()
        doubled.cancel()
        services.lookout.close()
        await services.streams.close()
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait([serving], timeout=LEAVE)
        serving.cancel()


async def _first(stop: asyncio.Event, *work: asyncio.Task[Any]) -> bool:
    """Wait for any of the tasks: True; False if `stop` was set before."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopping, *work], return_when=asyncio.FIRST_COMPLETED)
        return any(task.done() for task in work)
    finally:
        stopping.cancel()


def _failure(settings: GatewaySettings, serving: asyncio.Task[None]) -> MeshError:
    """Why the gateway cannot go on: its HTTP server failed, or the broker turned it away."""
    failure = serving.exception() if serving.done() else None
    if failure is None:
        detail = "The broker ended the connection for good."
        return MeshError(ErrorCode.BROKER_UNAVAILABLE, detail)
    reason = str(failure).partition("\n")[0]
    return MeshError(
        ErrorCode.CONFLICT,
        f"The gateway cannot listen on {settings.host} port {settings.port}: {reason}. "
        "Set MESH_PORT to a free port.",
    )


def _doubled(settings: GatewaySettings) -> MeshError:
    return MeshError(
        ErrorCode.CONFLICT,
        f"Another gateway of this mesh is called {settings.gateway_name} and lives: give this one "
        "a name of its own with --gateway-name or MESH_GATEWAY_NAME.",
    )


def create_app(services: Services) -> ASGIApp:
    """The ASGI application over running services."""
    max_body = services.settings.max_body
    routes = Litestar(
        ROUTES,
        dependencies={"services": Provide(lambda: services, sync_to_thread=False, use_cache=True)},
        before_request=_admission(services),
        exception_handlers=HANDLERS,
        request_max_body_size=max_body,
        openapi_config=None,
        logging_config=None,
    )
    counted = Counting(Door(Head(routes), services.rules, max_body), services.meters)
    return services.traces.around(counted)


def _admission(services: Services) -> Callable[[AnyRequest], Awaitable[None]]:
    """What every request goes through before its handler."""

    async def admit(request: AnyRequest) -> None:
        await services.trusted.identify(request)
        services.doorman.admit(request)
        await check_elsewhere(services, request)
        tell(services.limiter, request)

    return admit


async def _open(settings: GatewaySettings, bus: Bus) -> Services:
    """Declare the streams and start following; waits for a broker that is not ready yet."""
    js = JetStream(bus)
    await _declare(js, settings)
    clock = Clock()
    await clock.learn(partial(brokers, js))
    fleet = Fleet(bus, js)
    lanes = Lanes(fleet)
    waiting = WaitingRoom(lanes.used, clock)
    crowd = Crowd(waiting, settings.max_waiting)
    unfinished = Unfinished(Tail(bus, js))
    store = Store(bus)
    accounts = Accounts(bus, js, store)
    counts = Counts(messages(settings.limit_messages)[1], clock)
    limiter = Limiter(counts, settings, accounts, store, clock)
    hear = _both(crowd, counts)
    usher = Usher(js, Tail(bus, js), hear, settings.gateway_name, unfinished.hear, clock)
    meters = Meters(settings.gateway_name)
    traces = Traces(settings.otlp, settings.gateway_name, clock)
    failures = Failures(settings.gateway_name)
    told = _told(usher, meters, traces, failures)
    queue = Queue(js, crowd, lanes, clock)
    requests = Requests(bus, js, settings.gateway_name, told, queue, limiter, clock)
    models = Models(
        js, fleet, settings.default_model, settings.ack_wait, settings.worker_wait, clock
    )
    tokens, rules = Tokens(signing_key(settings), settings.access_ttl, clock), Rules(settings)
    living, telling = Living(js, settings.gateway_name), Telling(js, requests.writer)
    services = Services(
        settings=settings,
        bus=bus,
        js=js,
        fleet=fleet,
        models=models,
        requests=requests,
        streams=Streams(requests, settings.keep_alive),
        waiting=waiting,
        seen=Seen(),
        lookout=Lookout(Tail(bus, js), unfinished),
        store=store,
        accounts=accounts,
        tokens=tokens,
        doorman=Doorman(tokens, accounts, rules),
        trusted=TrustedClients(accounts, store),
        sites={name: Site(each) for name, each in providers(settings).items()},
        rules=rules,
        living=living,
        quota=Quota(store, settings.client_quota),
        limiter=limiter,
        telling=telling,
        conductor=Conductor(
            bus,
            js,
            settings.gateway_name,
            requests,
            models,
            living,
            telling,
            settings.request_timeout,
            clock,
        ),
        meters=meters,
        traces=traces,
        clock=clock,
    )
    meters.registry.register(State(services))
    await _start(services, usher, unfinished)
    return services


def _both(crowd: Crowd, counts: Counts) -> Hear:
    def hear(rid: str, event: RunEvent, seq: int, at: float) -> None:
        crowd.hear(rid, event, seq)
        counts.hear(rid, event, seq, at)

    return hear


def _told(usher: Usher, meters: Meters, traces: Traces, failures: Failures) -> OnEvent:
    def hear(where: RunSubject, event: RunEvent, seq: int) -> None:
        usher.hear(where, event, seq)
        meters.hear(where, event)
        traces.hear(where, event)
        failures.hear(where, event)

    return hear


async def _declare(js: JetStream, settings: GatewaySettings) -> None:
    while True:
        try:
            await declare(js, settings)
            return
        except BusError as error:
            log.warning("The broker's JetStream is not ready: %s", error)
            await asyncio.sleep(0.5)


async def _start(services: Services, usher: Usher, unfinished: Unfinished) -> None:
    bus, js, fleet, living = services.bus, services.js, services.fleet, services.living
    models, requests, settings = services.models, services.requests, services.settings
    clock = services.clock
    letters = DeadLetters(js, requests, settings.request_timeout, settings.queue_timeout, clock)
    name = settings.gateway_name
    patience = settings.orphan_timeout
    sweeper = Sweeper(js, name, unfinished, living, requests, letters, patience, clock)
    fleet.on_come = lambda worker: requests.background(models.noticed(worker))
    fleet.on_lost = lambda worker: requests.background(
        report_lost(services.js, requests.writer, worker)
    )
    # A broker that was restarted has forgotten what it kept in memory: who is present.
    bus.on_doubt(lambda: requests.background(_declare(js, settings)))
    await requests.start()
    take_over = TakeOver(bus, requests.logs, requests.background)
    await take_over.start()
    await usher.start()
    await services.limiter.start(js)
    await fleet.start()
    await models.start()
    await services.accounts.start()
    await services.conductor.start()

    async def welcome(subject: str, data: bytes) -> HelloReply:
        return await models.welcome(subject.rpartition(".")[2], decode(data, Hello))

    await bus.serve(subjects.HELLO_ALL, welcome, QUEUE)
    await bus.serve(subjects.RESUME_ALL, Resumer(js).answer, QUEUE)
    await bus.serve(subjects.REVIVE_ALL, letters.ask_again, QUEUE)
    for work in (
        clock.keep(partial(brokers, js)),
        fleet.watch(),
        models.refresh(),
        services.streams.tick(),
        usher.run(),
        services.limiter.run(),
        living.run(),
        recover(unfinished, requests, take_over, living, name),
        sweeper.run(),
        services.accounts.run(),
        services.conductor.run(),
        services.traces.run(),
    ):
        requests.background(work)

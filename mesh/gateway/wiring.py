"""Wires one gateway: makes its parts, tells them of one another, and sets them going.

How the process begins and ends, and its HTTP server, are `app.py`'s affair.
"""

import logging
from functools import partial

from mesh.bus.clock import Clock, brokers
from mesh.bus.connection import Bus
from mesh.bus.follow import OnEvent
from mesh.bus.insisting import Insisting, Rounds
from mesh.bus.jetstream import JetStream
from mesh.bus.overheard import Overheard
from mesh.bus.partings import Partings
from mesh.bus.presence import Fleet
from mesh.bus.tail import Tail
from mesh.bus.topology import declare
from mesh.gateway.abreast import Abreast
from mesh.gateway.accounts import Accounts
from mesh.gateway.ask.quota import Quota
from mesh.gateway.crowd import Crowd
from mesh.gateway.dead_letters import DeadLetters
from mesh.gateway.door import Rules
from mesh.gateway.doorman import Doorman
from mesh.gateway.failures import Failures
from mesh.gateway.lanes import Lanes
from mesh.gateway.latest import Latest
from mesh.gateway.limits.counts import Counts
from mesh.gateway.limits.limiter import Limiter, messages
from mesh.gateway.living import Living
from mesh.gateway.lookout import Lookout
from mesh.gateway.lost import report_lost
from mesh.gateway.metrics.meters import Meters
from mesh.gateway.metrics.state import State
from mesh.gateway.models import Models
from mesh.gateway.oauth.providers import providers
from mesh.gateway.oauth.site import Site
from mesh.gateway.queue import Queue
from mesh.gateway.recovery import recover
from mesh.gateway.requests import Requests
from mesh.gateway.resume import Resumer
from mesh.gateway.runs.conductor import Conductor
from mesh.gateway.runs.telling import Telling
from mesh.gateway.seeing_off import see_off
from mesh.gateway.services import Services
from mesh.gateway.store import Store
from mesh.gateway.streams import Streams
from mesh.gateway.sweeper import Sweeper
from mesh.gateway.takeover import TakeOver
from mesh.gateway.tokens import Tokens, signing_key
from mesh.gateway.traces.telling import Traces
from mesh.gateway.trusted_clients import TrustedClients
from mesh.gateway.unfinished import Unfinished
from mesh.gateway.unhindered import tell_all
from mesh.gateway.usher import Hear, Usher
from mesh.gateway.waiting import WaitingRoom
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.events import RunEvent
from mesh.protocol.questions import Hello, HelloReply
from mesh.protocol.subjects import RunSubject
from mesh.settings import GatewaySettings

log = logging.getLogger(__name__)

QUEUE = "gateways"
"""The queue group in which gateways share the workers' questions."""


async def wire(settings: GatewaySettings, bus: Bus) -> Services:
    """Declare the streams and start following; waits for a broker that is not ready yet.

    Raises MeshError (protocol_version, broker_unavailable) where waiting would be in vain.
    """
    js, insisting = JetStream(bus), Insisting(bus)
    await insisting.on(partial(declare, js, settings))
    clock = Clock()
    await insisting.on(partial(clock.learn, partial(brokers, js)))
    fleet = Fleet(bus, js)
    lanes = Lanes(fleet)
    waiting = WaitingRoom(lanes.used, clock)
    crowd = Crowd(waiting, settings.max_waiting)
    overheard = Overheard()
    unfinished = Unfinished(Tail(bus, js, overheard=overheard))
    store = Store(bus)
    accounts = Accounts(bus, js, store)
    counts = Counts(messages(settings.limit_messages)[1], clock)
    limiter = Limiter(counts, settings, accounts, store, clock)
    quota = Quota(store, settings.client_quota, counts.is_open)
    hear = _room(crowd, counts, quota)
    tail = Tail(bus, js, overheard=overheard)
    usher = Usher(js, tail, hear, settings.gateway_name, unfinished.hear, clock)
    meters = Meters(settings.gateway_name)
    traces = Traces(settings.otlp, settings.gateway_name, clock)
    failures = Failures(settings.gateway_name)
    partings = Partings()
    told = _told(usher, meters, traces, failures, partings)
    queue = Queue(js, crowd, lanes, clock)
    requests = Requests(bus, js, settings.gateway_name, told, queue, limiter, clock, overheard)
    requests.endings.pause = queue.pause
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
        latest=Latest(unfinished),
        lookout=Lookout(Tail(bus, js, overheard=overheard), unfinished, requests.lasting),
        store=store,
        accounts=accounts,
        tokens=tokens,
        doorman=Doorman(tokens, accounts, rules),
        trusted=TrustedClients(accounts, store),
        sites={name: Site(each) for name, each in providers(settings).items()},
        rules=rules,
        living=living,
        quota=quota,
        limiter=limiter,
        abreast=Abreast(settings.req_max_per_tenant),
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
    try:
        await _start(services, usher, unfinished, partings, insisting)
    except BaseException:
        await requests.close()
        raise
    return services


def _room(crowd: Crowd, counts: Counts, quota: Quota) -> Hear:
    """Those that count: who waits, what is under way, what is held."""

    def hear(rid: str, event: RunEvent, seq: int, at: float) -> None:
        tell_all(
            partial(crowd.hear, rid, event, seq),
            partial(quota.hear, rid, event, seq),
            partial(counts.hear, rid, event, seq, at),
        )

    return hear


def _told(
    usher: Usher, meters: Meters, traces: Traces, failures: Failures, partings: Partings
) -> OnEvent:
    def hear(where: RunSubject, event: RunEvent, seq: int) -> None:
        tell_all(
            partial(usher.hear, where, event, seq),
            partial(meters.hear, where, event),
            partial(traces.hear, where, event),
            partial(failures.hear, where, event),
            partial(partings.hear, where, event),
        )

    return hear


async def _declare(js: JetStream, settings: GatewaySettings) -> None:
    await Insisting(js.bus).on(partial(declare, js, settings))


async def _start(
    services: Services,
    usher: Usher,
    unfinished: Unfinished,
    partings: Partings,
    insisting: Insisting,
) -> None:
    bus, js, fleet, living = services.bus, services.js, services.fleet, services.living
    models, requests, settings = services.models, services.requests, services.settings
    clock = services.clock
    letters = DeadLetters(
        js,
        requests,
        settings.request_timeout,
        settings.queue_timeout,
        clock,
        services.accounts.is_gone,
    )
    name = settings.gateway_name
    patience = settings.orphan_timeout
    sweeper = Sweeper(js, name, unfinished, living, requests, letters, patience, clock)
    fleet.on_come = lambda worker: requests.background(models.noticed(worker))
    fleet.on_lost = lambda worker: requests.background(
        report_lost(services.js, requests.writer, worker)
    )
    # A broker that was restarted has forgotten what it kept in memory: who is present.
    bus.on_doubt(Rounds(partial(_declare, js, settings), requests.background).ask)
    take_over = TakeOver(bus, requests.logs, fleet, partings, requests.background)
    for step in (
        requests.start,
        partial(partings.start, bus),
        usher.start,
        partial(services.limiter.start, js),
        fleet.start,
        models.start,
        services.accounts.start,
        services.conductor.start,
    ):
        await insisting.on(step)

    async def welcome(subject: str, data: bytes) -> HelloReply:
        return await models.welcome(subject.rpartition(".")[2], decode(data, Hello))

    await bus.serve(subjects.HELLO_ALL, welcome, QUEUE)
    await bus.serve(subjects.RESUME_ALL, Resumer(js, models.workers, partings.heard).answer, QUEUE)
    await bus.serve(subjects.REVIVE_ALL, letters.ask_again, QUEUE)
    for work in (
        fleet.watch(),
        services.streams.tick(),
        usher.run(),
        living.run(),
        recover(unfinished, requests, take_over, living, name),
        sweeper.run(),
        services.accounts.run(),
        see_off(services, unfinished),
        services.conductor.run(),
    ):
        requests.lasting.start(work)
    # Answers come and end without these for a while, and each of their rounds begins anew.
    for make in (
        partial(clock.keep, partial(brokers, js)),
        models.refresh,
        services.limiter.run,
        services.traces.run,
    ):
        requests.lasting.start_again(make)

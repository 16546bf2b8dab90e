"""`POST /api/messages/process`: a message of a thread in, its answer out, as events.

The answer is a run: it goes on without its reader, and the thread remembers it.
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import msgspec
from litestar import Response, post
from msgspec import Struct
from msgspec.structs import replace

from mesh.bus.history import last_event
from mesh.gateway import keys
from mesh.gateway.anew import RETRY_AFTER
from mesh.gateway.body import read_body
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, request_id
from mesh.gateway.headers import REPEATABLE, body_digest, idempotency_key
from mesh.gateway.openai import tools_body
from mesh.gateway.openai.tools_body import ToolBodies
from mesh.gateway.runs.beginning import begin, let_in, new_run, tried
from mesh.gateway.runs.events import follow
from mesh.gateway.runs.process_events import Chunk, RunId, Telling
from mesh.gateway.runs.shapes import RUN
from mesh.gateway.runs.telling import in_time
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import REFUSALS, ErrorCode, MeshError
from mesh.protocol.request import Message
from mesh.protocol.threads import AddThreadMessage, NewMessage
from mesh.protocol.tool_story import ToolStory, rid_of
from mesh.protocol.tools import GetThread, ThreadHistory, ToolRun
from mesh.protocol.worker_info import ModelCard

KINDS = ("local", "cloud")
CLOUD = "openai"
"""The engine that asks another service."""

LONGEST = 200
"""Characters of a thread's name."""

PATIENCE = 2.0
"""Seconds in which a run that was begun is asked, unless it has to wait for room: then its events
begin with that."""


NO_MESSAGES = "Invalid or missing 'messages' in request"


class ProcessBody(Struct, kw_only=True):
    """What it takes, each key in either spelling. Only the first message is asked; tools: functions
    that the model may call, as in a chat completion. Other keys change nothing."""

    messages: list[dict[str, Any]] | None = None
    user_id: str | None = None
    userId: str | None = None
    thread_id: str | None = None
    threadId: str | None = None
    model: str | None = None
    inference_type: str | None = None
    inferenceType: str | None = None
    tools: ToolBodies | None = None

    @property
    def content(self) -> str:
        """What is asked. Raises MeshError (bad_request)."""
        if not self.messages:
            raise _bad(NO_MESSAGES)
        content = self.messages[0].get("content", "")
        if not isinstance(content, str) or not content.strip():
            raise _bad("Message content is missing")
        return content

    @property
    def thread(self) -> str:
        """The thread's name, "" for none. Raises MeshError (bad_request)."""
        name = _one("threadId", self.threadId, "thread_id", self.thread_id)
        if len(name) > LONGEST:
            raise _bad(f"A thread's id has at most {LONGEST} characters")
        return name

    @property
    def kind(self) -> str:
        """local or cloud. Raises MeshError (bad_request)."""
        spelled = ("inferenceType", self.inferenceType, "inference_type", self.inference_type)
        kind = _one(*spelled) or "local"
        if kind.lower() not in KINDS:
            raise _bad(f"Unsupported inference type: {kind}")
        return kind.lower()


class Sent(Struct, frozen=True, kw_only=True):
    """A request. key, digest: of its idempotency key, and of its body; "" where there is none."""

    body: ProcessBody
    key: str
    digest: str
    trace: str


@post(
    "/api/messages/process",
    status_code=200,
    body=ProcessBody,
    events=(RunId, Chunk, Literal["[DONE]", "[ERROR]"]),
    headers=REPEATABLE,
    leads_to=(keys.process,),
)
async def process_messages(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Answer a message of a thread, as Server-Sent Events."""
    principal = services.doorman.principal(request)
    body = await _read(request)
    key = idempotency_key(request)
    sent = Sent(
        body=body,
        key=keys.process(key),
        digest=await body_digest(request) if key else "",
        trace=request_id(request),
    )
    client = Client(request, services.settings.hold_headers)
    accept = _accept(services, principal, sent)
    story = await services.streams.accept(client, accept, lambda _: None)
    return follow(services, story, -1, Telling(RUN + story.run.id))


async def _accept(services: Services, principal: Principal, sent: Sent) -> ToolStory:
    """Begin the run, or find what its key has begun, and wait for its model to be asked.

    Raises MeshError.
    """
    async with tried(services, principal, sent.key) as (run_id, known):
        if known is not None:
            story = await begin(services, known.run, sent.digest)
        else:
            story = await _new(services, principal, sent, run_id)
    await _asked(services, story.run)
    return story


async def _read(request: AnyRequest) -> ProcessBody:
    """The body; of `messages` that are no list the same is said as where there are none."""
    try:
        return await read_body(request, ProcessBody)
    except MeshError as error:
        if error.param == "messages":
            raise _bad(NO_MESSAGES) from error
        raise


async def _new(services: Services, principal: Principal, sent: Sent, run_id: str) -> ToolStory:
    """Begin a run; what is asked is added to the thread once nothing speaks against it."""
    body = sent.body
    content, kind, thread = body.content, body.kind, body.thread
    tools = msgspec.json.encode({"tools": body.tools})
    read = partial(tools_body.read, body.tools or [], None, True, None)
    format = await services.aside.read(principal.user_id, tools, read)
    model = await _model(services, principal, body.model, kind)
    said = NewMessage(content=content, uid=services.rid(principal, keys.nth(sent.key, 0)))
    before = ThreadHistory(messages=())
    if thread:
        query = GetThread(tenant=principal.user_id, thread=thread, without=(said.uid,))
        before = await services.store.ask(query)
    messages = (*before.messages, Message(role="user", content=content))
    first = services.new_request(principal, model, messages, trace=sent.trace)
    first = replace(first, tools=format.tools, grammar=format.grammar)
    services.check_able(first)
    run = new_run(services, first, run_id)
    run = replace(run, later=format.grammar, thread=thread, fit="truncate")
    async with let_in(services, run):
        if before.kept:
            await services.store.ask(
                AddThreadMessage(user_id=first.tenant, thread_id=thread, message=said)
            )
        return await begin(services, run, sent.digest)


async def _asked(services: Services, run: ToolRun) -> None:
    """Wait a while for its model to be asked. Raises MeshError where it was over before."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while True:
                if await in_time(last_event(services.js, rid_of(run.id, 0))) is not None:
                    return
                story = await services.telling.read(run.id)
                if story is not None and story.over is not None:
                    code = story.over.code or ErrorCode.CANCELLED
                    later = RETRY_AFTER if code in REFUSALS else None
                    raise MeshError(code, story.over.detail, retry_after=later)
                await asyncio.sleep(0.02)


async def _model(services: Services, principal: Principal, asked: str | None, kind: str) -> str:
    """The model to ask. Raises MeshError: model_not_found, no_worker, bad_request."""
    if asked:
        name = await services.model(principal, asked, "")
        if not _is_of(kind, services.models.cards().get(name)):
            raise _bad(f"The model {asked} is none for inference of the type {kind}")
        return name
    cards = services.models.cards()
    served = sorted(name for name, card in cards.items() if card and _is_of(kind, card))
    if not served:
        detail = f"Nobody serves a model for inference of the type {kind} now."
        raise MeshError(ErrorCode.NO_WORKER, detail, retry_after=services.settings.worker_wait)
    default = await services.models.choose(None)
    return default if default in served else served[0]


def _is_of(kind: str, card: ModelCard | None) -> bool:
    return card is None or (card.engine == CLOUD) == (kind == "cloud")


def _one(camel: str, one: str | None, snake: str, other: str | None) -> str:
    """What is said in either spelling, "" for nothing. Raises MeshError (bad_request)."""
    if one and other and one != other:
        raise _bad(f"{camel} and {snake} are the same and say different things; give one")
    return one or other or ""


def _bad(detail: str) -> MeshError:
    return MeshError(ErrorCode.BAD_REQUEST, detail)

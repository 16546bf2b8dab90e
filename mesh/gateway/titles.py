"""`POST /chats/{chat_id}/title`: lets the model that answered name a chat.

Small models often do not do what they are told, so what comes is taken only if it looks like a
title of this conversation; otherwise the chat keeps the one it has from its first message.
"""

import asyncio
import re

import msgspec
from litestar import post
from litestar.params import FromPath
from msgspec import Struct

from mesh.bus.follow import Track
from mesh.gateway.client import Client
from mesh.gateway.errors import AnyRequest, request_id
from mesh.gateway.headers import REPEATABLE, body_digest, idempotency_key
from mesh.gateway.services import Services, Wired
from mesh.gateway.tokens import Principal
from mesh.protocol.chats import ChatTree, GetChat, UpdateChat
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Done
from mesh.protocol.request import Message, Sampling

PATIENCE = 30.0
"""Seconds that a title may take."""

READ = 1_000
"""Characters of question and answer that the model is shown."""

LONGEST, MOST_WORDS, MOST_TOKENS = 60, 10, 24
"""A title's characters, words and tokens."""

TASK = (
    "Here is the beginning of a conversation.\n\nQuestion: {question}\n\nAnswer: {answer}\n\n"
    "Write a title of three to six words for it, in its own language. Reply with the title alone."
)

_AROUND = " \t\"'`*_#.:“”„«»"


class TitleRead(Struct, frozen=True, kw_only=True):
    """A chat's title; generated: whether it is the model's, of just now."""

    title: str | None
    generated: bool


@post("/chats/{chat_id:str}/title", status_code=200, headers=REPEATABLE)
async def generate_title(request: AnyRequest, services: Wired, chat_id: FromPath[str]) -> TitleRead:
    """Give a chat a title that its model finds, unless it is renamed meanwhile."""
    user = services.doorman.signed_in(request)
    tree = await _chat(services, user, chat_id)
    question, answer, _ = _beginning(tree)
    track = await _asked(services, request, user, tree)
    before = _noted(track, tree.chat.title)
    keeps = bool(idempotency_key(request))
    found = title(await _said(services, request, track, keeps), f"{question}\n{answer}")
    now = (await _chat(services, user, chat_id)).chat.title
    if found is None or now not in (before, found):
        return TitleRead(title=now, generated=False)
    if now != found:
        await services.store.ask(UpdateChat(user_id=user.user_id, chat_id=chat_id, title=found))
    return TitleRead(title=found, generated=True)


async def _asked(services: Services, request: AnyRequest, user: Principal, tree: ChatTree) -> Track:
    """The model's own answer: begun now, or under the same key before. Raises MeshError."""
    key = idempotency_key(request)
    digest = await body_digest(request) if key else ""
    known = await services.requests.again(services.rid(user, key), digest) if key else None
    if known is not None:
        return known
    question, answer, model = _beginning(tree)
    await services.models.choose(model)
    prompt = TASK.format(question=question[:READ], answer=answer[:READ])
    asked = services.new_request(
        user,
        model,
        (Message(role="user", content=prompt),),
        Sampling(temperature=0.0),
        MOST_TOKENS,
        key=key,
        trace=request_id(request),
    )
    note = msgspec.json.encode(tree.chat.title).decode()
    return await services.requests.submit(asked, body=digest, note=note)


def _noted(track: Track, now: str | None) -> str | None:
    """The title that the chat had when its model was asked; another since then is a person's."""
    queued = track.run.queued
    return now if queued is None else msgspec.json.decode(queued.note, type=str | None)


async def _chat(services: Services, user: Principal, chat_id: str) -> ChatTree:
    seq = await services.latest.of(chat_id)
    return await services.store.ask(GetChat(user_id=user.user_id, chat_id=chat_id, min_seq=seq))


def _beginning(tree: ChatTree) -> tuple[str, str, str]:
    """The first question that was answered, its answer and the model. Raises MeshError."""
    texts = {message.id: message.content or "" for message in tree.messages}
    for message in tree.messages:
        if message.state == "complete" and message.work is not None and message.content:
            return texts.get(message.parent_id or "", ""), message.content, message.work.model
    raise MeshError(ErrorCode.CONFLICT, "This chat has no answer yet that it could be named by.")


async def _said(services: Services, request: AnyRequest, track: Track, keeps: bool) -> str:
    """What the model says; "" if it fails or takes too long. Leaving cancels, unless it `keeps`."""
    try:
        async with asyncio.timeout(PATIENCE):
            client = Client(request, PATIENCE)
            await services.streams.ended(track, client)
    except TimeoutError:
        pass
    if not keeps:
        services.streams.hang_up(track)
    return _text(track)


def _text(track: Track) -> str:
    return track.run.end.text if isinstance(track.run.end, Done) else ""


def title(said: str, conversation: str) -> str | None:
    """The title in what a model said, or None. Pure.

    One short line that shares a word with the conversation: what shares none is about something
    else, such as the model itself.
    """
    lines = [line.strip(_AROUND) for line in said.splitlines()]
    line = next((line for line in lines if line), "")
    line = re.sub(r"^title\s*[:\-]\s*", "", line, flags=re.IGNORECASE).strip(_AROUND)
    words, text = re.findall(r"\w+", line.lower()), conversation.lower()
    fits = 2 <= len(line) <= LONGEST and len(words) <= MOST_WORDS
    known = set(re.findall(r"\w+", text))
    shared = any(
        word in known if word.isascii() else word in text
        for word in words
        if len(word) > 3 or not word.isascii()
    )
    return line if fits and shared and line.lower() not in TASK.lower() else None

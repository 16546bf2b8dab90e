"""Reads the body of `POST /v1/ask` into a conversation that fits the history's budget. Pure."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from mesh.gateway.body import decode_body
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Charge, Message

MISSING = "Missing required parameters, send question, client_id, user_id and stream; there is no "

Name = Annotated[str, Meta(max_length=200)]


class Said(Struct, forbid_unknown_fields=True):
    """A turn of the conversation so far."""

    role: Literal["user", "assistant", "system"]
    content: str


class AskBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What `POST /v1/ask` takes. All but model and history are needed; null counts as missing.

    client_id: of whose quota the tokens are; user_id: which of the client's users asks;
    product_id: what such clients send along; not looked at.
    """

    question: str | None = None
    client_id: Name | None = None
    user_id: Name | None = None
    stream: bool | None = None
    history: list[Said] | None = None
    model: str | None = None
    product_id: object = None


class Question(Struct, frozen=True, kw_only=True):
    """What was asked. model: None for the default."""

    text: str
    history: tuple[Message, ...]
    charge: Charge
    stream: bool
    model: str | None

    def messages(self, today: date) -> tuple[Message, ...]:
        """What the model is shown: who it is and which day it is, the history, the question."""
        system = f"You are a helpful assistant. Today is {today:%A}, {today.isoformat()}."
        asked = Message(role="user", content=self.text)
        return (Message(role="system", content=system), *self.history, asked)


def read(data: bytes, budget: int) -> Question:
    """budget: characters of history at most. Raises MeshError (bad_request)."""
    body = decode_body(data, AskBody)
    if body.question is None or not body.question.strip():
        raise _missing("question")
    if not body.client_id:
        raise _missing("client_id")
    if not body.user_id:
        raise _missing("user_id")
    if body.stream is None:
        raise _missing("stream")
    return Question(
        text=body.question,
        history=newest(body.history or [], budget),
        charge=Charge(client=body.client_id, user=body.user_id),
        stream=body.stream,
        model=body.model,
    )


def newest(history: list[Said], budget: int) -> tuple[Message, ...]:
    """The latest turns that have `budget` characters together at most, each whole."""
    kept: list[Message] = []
    for said in reversed(history):
        budget -= len(said.content)
        if budget < 0:
            break
        kept.append(Message(role=said.role, content=said.content))
    return tuple(reversed(kept))


def _missing(name: str) -> MeshError:
    return MeshError(ErrorCode.BAD_REQUEST, f"{MISSING}{name}.", param=name)

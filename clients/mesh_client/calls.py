"""Every request that the client makes, as data: method, path, body, and how to read the reply.

The one place where the gateway's routes are spelled on this side. Nothing is sent from here.
"""

from typing import Generic, TypedDict, TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec
from msgspec import Struct

from mesh_client.errors import BadReply, BadText
from mesh_client.objects import (
    Account,
    CancelReply,
    CancelToken,
    ChatInfo,
    ChatPage,
    ChatTree,
    Exchange,
    Message,
    ModelList,
    Renewed,
    TokenPair,
    WorkerEventList,
    WorkerList,
)

T = TypeVar("T")


class AnswerOptions(TypedDict, total=False):
    """How an answer is to be made; what is left out is the gateway's choice.

    model: name; system: system prompt; profile: who asks; instructions: how to answer;
    temperature (0: always the likeliest token), top_k, top_p, typical_p, repetition_penalty:
    sampling; max_tokens: of the answer at most; key: idempotency key, by default a new one;
    with the key of an earlier call one gets that call's answer, not a second one.
    """

    model: str
    system: str
    profile: str
    instructions: str
    temperature: float
    top_k: int
    top_p: float
    typical_p: float
    repetition_penalty: float
    max_tokens: int
    key: str


class Call(Generic[T]):
    """One request and the type of its reply. `repeatable`: sending it twice does no more.

    Raises BadText for words that UTF-8 cannot hold.
    """

    def __init__(
        self,
        method: str,
        path: str,
        reply: type[T],
        *,
        params: dict[str, str] | None = None,
        body: Struct | None = None,
        headers: dict[str, str] | None = None,
        repeatable: bool = True,
    ) -> None:
        self.method = method
        self.path = path
        self.params = params or {}
        self.headers = {"Accept": "application/json"} | (headers or {})
        try:
            self.content = b"" if body is None else msgspec.json.encode(body)
        except UnicodeEncodeError as error:
            raise BadText from error
        if body is not None:
            self.headers["Content-Type"] = "application/json"
        self.repeatable = repeatable
        self._reply = reply

    def read(self, body: bytes) -> T:
        """The reply from the bytes of a successful response; raises BadReply."""
        if self._reply is type(None):
            return self._reply()
        try:
            return msgspec.json.decode(body, type=self._reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadReply(
                f"{self.method} {self.path} was answered with something else than "
                f"{self._reply.__name__} ({error}); is this a mesh gateway of this version?"
            ) from error


class StreamCall:
    """One request that is answered with Server-Sent Events."""

    def __init__(
        self,
        method: str,
        path: str,
        *,
        body: Struct | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        self.headers |= headers or {}
        self.content = b"" if body is None else msgspec.json.encode(body)
        if body is not None:
            self.headers["Content-Type"] = "application/json"


# --- bodies ---------------------------------------------------------------------------------------


class _Body(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left at its default is left out."""


class _Sampling(_Body, frozen=True, kw_only=True):
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    max_new_tokens: int | None = None


class _Answer(_Body, frozen=True, kw_only=True):
    parent_id: str | None = None
    model_config_name: str | None = None
    sampling_parameters: _Sampling = _Sampling()
    system_prompt: str | None = None
    user_profile: str | None = None
    user_response_instructions: str | None = None


class _Exchange(_Answer, frozen=True, kw_only=True):
    content: str
    beside: str | None = None


class _Update(_Body, frozen=True, kw_only=True):
    title: str | None = None
    hidden: bool | None = None
    allow_data_use: bool | None = None
    active_thread_tail_message_id: str | None = None


class _GenerateParams(_Body, frozen=True, kw_only=True):
    max_tokens: int | None = None


class _Generate(_Body, frozen=True, kw_only=True):
    prompt: str
    model: str | None = None
    params: _GenerateParams = _GenerateParams()


class _Empty(_Body, frozen=True, kw_only=True):
    pass


def _sampling(options: AnswerOptions) -> _Sampling:
    return _Sampling(
        temperature=options.get("temperature"),
        top_k=options.get("top_k"),
        top_p=options.get("top_p"),
        typical_p=options.get("typical_p"),
        repetition_penalty=options.get("repetition_penalty"),
        max_new_tokens=options.get("max_tokens"),
    )


def _key(options: AnswerOptions) -> dict[str, str]:
    """What lets a request whose reply was lost be sent again without being done twice."""
    return {"Idempotency-Key": options.get("key") or uuid4().hex}


# --- signing in -----------------------------------------------------------------------------------


class _Login(Struct):
    username: str
    password: str


def login(username: str, password: str = "") -> Call[TokenPair]:
    """Sign in to an account; without a password by the debug login, which there is on loopback."""
    if password:
        return Call("POST", "/auth/login", TokenPair, body=_Login(username, password))
    return Call("GET", "/auth/callback/debug", TokenPair, params={"code": username})


def refresh(token: str) -> Call[Renewed]:
    """A new access token for a refresh token, which is good for one use."""
    return Call("GET", "/auth/refresh", Renewed, headers={"Refresh": token})


def logout(token: str) -> Call[None]:
    """End the session of a refresh token."""
    return Call("POST", "/auth/logout", type(None), headers={"Refresh": token})


def providers() -> Call[list[str]]:
    """The ways to sign in to this gateway; `debug`: by name alone."""
    return Call("GET", "/auth/providers", list[str])


def account() -> Call[Account]:
    """The account of the signed-in user."""
    return Call("GET", "/account", Account)


def check() -> Call[str]:
    """The id of the signed-in user."""
    return Call("GET", "/auth/check", str)


# --- chats ----------------------------------------------------------------------------------------


def _chat_path(chat_id: str) -> str:
    return f"/chats/{quote(chat_id, safe='')}"


def _message_path(chat_id: str, message_id: str) -> str:
    return f"{_chat_path(chat_id)}/messages/{quote(message_id, safe='')}"


def new_chat(key: str = "") -> Call[ChatInfo]:
    """An empty chat, once per idempotency key; without one a new chat each time."""
    headers = {"Idempotency-Key": key} if key else {}
    return Call("POST", "/chats", ChatInfo, body=_Empty(), headers=headers, repeatable=bool(key))


def list_chats(limit: int, after: str | None, include_hidden: bool) -> Call[ChatPage]:
    """A page of chats; `after` is the cursor `next` of the page before."""
    params = {"limit": str(limit)} | ({"after": after} if after else {})
    if include_hidden:
        params["include_hidden"] = "true"
    return Call("GET", "/chats", ChatPage, params=params)


def get_chat(chat_id: str) -> Call[ChatTree]:
    """A chat with all of its messages."""
    return Call("GET", _chat_path(chat_id), ChatTree)


def update_chat(
    chat_id: str,
    *,
    title: str | None = None,
    hidden: bool | None = None,
    allow_data_use: bool | None = None,
    tail: str | None = None,
) -> Call[None]:
    """Change what is not None; `tail` is the last message of the branch to show."""
    body = _Update(
        title=title,
        hidden=hidden,
        allow_data_use=allow_data_use,
        active_thread_tail_message_id=tail,
    )
    return Call("PUT", _chat_path(chat_id), type(None), body=body)


def delete_chat(chat_id: str) -> Call[None]:
    """Delete a chat and its messages for good."""
    return Call("DELETE", _chat_path(chat_id), type(None))


def get_message(chat_id: str, message_id: str) -> Call[Message]:
    """One message."""
    return Call("GET", _message_path(chat_id, message_id), Message)


def ask(
    chat_id: str,
    parent_id: str | None,
    content: str,
    options: AnswerOptions,
    *,
    beside: str | None = None,
) -> Call[Exchange]:
    """Post a message and begin its answer, once per idempotency key.

    beside: the message that this one is another wording of, instead of a parent.
    """
    body = _Exchange(
        content=content,
        parent_id=parent_id,
        beside=beside,
        model_config_name=options.get("model"),
        sampling_parameters=_sampling(options),
        system_prompt=options.get("system"),
        user_profile=options.get("profile"),
        user_response_instructions=options.get("instructions"),
    )
    return Call(
        "POST",
        _chat_path(chat_id) + "/messages",
        Exchange,
        body=body,
        headers=_key(options),
    )


def answer(chat_id: str, parent_id: str, options: AnswerOptions) -> Call[Message]:
    """Begin another answer to a message that is there, once per idempotency key."""
    body = _Answer(
        parent_id=parent_id,
        model_config_name=options.get("model"),
        sampling_parameters=_sampling(options),
        system_prompt=options.get("system"),
        user_profile=options.get("profile"),
        user_response_instructions=options.get("instructions"),
    )
    return Call(
        "POST",
        _chat_path(chat_id) + "/assistant_message",
        Message,
        body=body,
        headers=_key(options),
    )


def cancel(chat_id: str, message_id: str) -> Call[CancelReply]:
    """Stop an answer; the reply comes when its end is acknowledged."""
    return Call("POST", _message_path(chat_id, message_id) + "/cancel", CancelReply, body=_Empty())


def cancel_token(chat_id: str, message_id: str) -> Call[CancelToken]:
    """What a page without a sign-in may stop this running answer with, once."""
    path = _message_path(chat_id, message_id) + "/cancel_token"
    return Call("POST", path, CancelToken, body=_Empty())


def events(chat_id: str, message_id: str, after: int) -> StreamCall:
    """An answer's stream from the piece after `after` on; -1: from the beginning."""
    headers = {"Last-Event-ID": str(after)} if after >= 0 else {}
    return StreamCall("GET", _message_path(chat_id, message_id) + "/events", headers=headers)


# --- the mesh -------------------------------------------------------------------------------------


def models() -> Call[ModelList]:
    """The models that are served."""
    return Call("GET", "/v1/models", ModelList)


def workers() -> Call[WorkerList]:
    """The workers that are there."""
    return Call("GET", "/workers", WorkerList)


def worker_events(limit: int) -> Call[WorkerEventList]:
    """What happened to workers, the last `limit` events."""
    return Call("GET", "/workers/events", WorkerEventList, params={"limit": str(limit)})


def generate(prompt: str, model: str | None, max_tokens: int | None) -> StreamCall:
    """One answer outside of any chat; hanging up cancels it."""
    body = _Generate(prompt=prompt, model=model, params=_GenerateParams(max_tokens=max_tokens))
    return StreamCall("POST", "/generate", body=body)

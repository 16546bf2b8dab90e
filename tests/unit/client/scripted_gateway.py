"""A gateway that plays a script: the network as a test wants it, cut where the test says.

It speaks just enough HTTP/1.1 on a real loopback socket, in a thread of its own, and keeps chats
in memory. What it stands in for is the wire; the model is `pieces`.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        return msgspec.json.decode(self.body)


@dataclass
class Answer:
    """What is sent back. `retry_after` and others go into headers."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Connection:
    """How one connection of the events stream goes.

    cut_after: bytes of the body after which the connection is torn down, None: never;
    status: refuse with it instead; finish: end the body in good order where it is cut.
    """

    cut_after: int | None = None
    status: int | None = None
    finish: bool = False


class ScriptedGateway:
    """Set the script, use `url`, look at `seen`."""

    def __init__(self) -> None:
        self.pieces = ["One ", "two ", "thrée ", "four\n", "five."]
        self.connections: list[Connection] = []
        self.pending = 1
        self.ending = "complete"
        self.finish = "stop"
        self.worker, self.truncated = "w1", 0
        self.error: dict[str, object] | None = None
        self.finished_already = False
        self.hold_before: int | None = None
        self.tokens_accepted = {"a1"}
        self.refusals: dict[str, list[Answer]] = {}
        self.drop_replies: dict[str, int] = {}
        self.seen: list[Seen] = []
        self.asked: dict[str, dict[str, dict[str, object]]] = {}
        self.tail = ""
        self._ages: dict[str, int] = {}
        self._ended: set[str] = set()
        self.cancelled = False
        self.parents: dict[str, str] = {}
        self._release = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._port = 0
        self._renewals = 1

    # --- what a test does ---------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def questions(self) -> list[object]:
        """The questions that were accepted, each once."""
        return [exchange["prompter_message"]["content"] for exchange in self.asked.values()]

    def last_body(self) -> dict[str, object]:
        """What was last asked, as it arrived."""
        return msgspec.json.decode(self.requests("/messages")[-1].body, type=dict[str, object])

    def requests(self, path_end: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path.split("?")[0].endswith(path_end)]

    def release(self) -> None:
        """Let the held answer go on."""
        self._loop.call_soon_threadsafe(self._release.set)

    def stop(self) -> None:
        """Stop listening and tear every connection down, as a killed gateway does."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)

    def start(self) -> None:
        """Listen; again on the same port after a stop."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)

    @contextmanager
    def running(self) -> Iterator["ScriptedGateway"]:
        self._thread.start()
        self.start()
        try:
            yield self
        finally:
            self.stop()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()

    # --- the wire -----------------------------------------------------------------------------

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await asyncio.sleep(0.01)  # who was just accepted is served first, and then torn down
        for writer in list(self._writers):
            writer.transport.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # and its socket closed

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await _read_request(reader)) is not None:
                self.seen.append(request)
                await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answer(self, request: Seen, writer: asyncio.StreamWriter) -> None:
        name = request.path.split("?")[0].rpartition("/")[2]
        if self.refusals.get(name):
            await _reply(writer, self.refusals[name].pop(0))
        elif name == "events":
            await self._events(request, writer)
        elif name == "generate":
            await self._generate(writer)
        else:
            reply = self._route(request)
            if self.drop_replies.get(name, 0) > 0:
                self.drop_replies[name] -= 1
                raise ConnectionResetError
            await _reply(writer, reply)

    # --- the routes ---------------------------------------------------------------------------

    def _route(self, request: Seen) -> Answer:
        path, _, query = request.path.partition("?")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        open_routes: dict[str, Callable[[], Answer]] = {
            "/auth/callback/debug": lambda: self._login(query),
            "/auth/login": lambda: self._login(query),
            "/auth/refresh": lambda: self._refresh(request),
            "/auth/logout": lambda: Answer(body=None),
            "/v1/models": lambda: Answer(body={"object": "list", "data": [{"id": "echo"}]}),
        }
        if path in open_routes:
            return open_routes[path]()
        if token not in self.tokens_accepted:
            return _problem(401, "invalid_token", "This token is not valid here; sign in again.")
        return self._signed_in(request, path)

    def _signed_in(self, request: Seen, path: str) -> Answer:
        match request.method, path.strip("/").split("/"):
            case "GET", ["auth", "check"]:
                return Answer(body="user-1")
            case "GET", ["workers"]:
                return Answer(body={"workers": [_worker()]})
            case "POST", ["chats"]:
                return Answer(body={"id": "chat-1", "title": None})
            case "GET", ["chats"]:
                return Answer(body=self._page(request))
            case "GET", ["chats", "chat-1"]:
                return Answer(body=self._chat())
            case "PUT" | "DELETE", ["chats", "chat-1"]:
                self.tail = self._tail_of(request) or self.tail
                return Answer(body=None)
            case "POST", ["chats", "chat-1", "messages"]:
                return Answer(body=self._ask(request))
            case "POST", ["chats", "chat-1", "assistant_message"]:
                return Answer(body=self._retry(request))
            case "POST", ["chats", "chat-1", "messages", _, "cancel"]:
                return self._cancel()
            case "GET", ["chats", "chat-1", "messages", id]:
                return Answer(body=self._message(id=id))
        return _problem(404, "not_found", "There is nothing under this id.")

    def _login(self, query: str) -> Answer:
        access = {"access_token": "a1", "token_type": "bearer"}
        refresh = {"access_token": f"r{self._renewals}", "token_type": "refresh"}
        self.tokens_accepted.add("a1")
        return Answer(body={"access_token": access, "refresh_token": refresh})

    def _refresh(self, request: Seen) -> Answer:
        """Each refresh token is good for one use."""
        if request.headers.get("refresh") != f"r{self._renewals}":
            return _problem(401, "invalid_token", "This token is not valid here; sign in again.")
        self._renewals += 1
        token = f"a{self._renewals}"
        self.tokens_accepted = {token}
        following = {"access_token": f"r{self._renewals}", "token_type": "refresh"}
        return Answer(body={"access_token": token, "refresh_token": following})

    def _page(self, request: Seen) -> dict[str, object]:
        if "after=" in request.path:
            return {"chats": [{"id": "chat-0", "title": "older"}], "next": None}
        return {"chats": [{"id": "chat-1", "title": "newer"}], "next": "cursor"}

    def _ask(self, request: Seen) -> dict[str, dict[str, object]]:
        """Once per idempotency key."""
        key = request.headers["idempotency-key"]
        if key not in self.asked:
            body = msgspec.json.decode(request.body, type=dict[str, object])
            question = f"question-{len(self.asked) + 1}"
            self.asked[key] = {
                "prompter_message": {
                    "id": question, "chat_id": "chat-1", "role": "prompter", "state": "manual",
                    "created_at": self._created(question),
                    "content": body["content"], "parent_id": self._parent(body),
                },
                "assistant_message": self._begin(question),
            }  # fmt: skip
        return self.asked[key]

    def _retry(self, request: Seen) -> dict[str, object]:
        body = msgspec.json.decode(request.body, type=dict[str, object])
        return self._begin(str(body["parent_id"]))

    def _begin(self, question: str) -> dict[str, object]:
        id = f"answer-{len(self.parents) + 1}"
        self.parents[id] = question
        return self._message(state="pending", id=id)

    def _parent(self, body: dict[str, object]) -> object:
        """The parent of a new question: it is named, or that of the one it stands beside."""
        for exchange in self.asked.values():
            if exchange["prompter_message"]["id"] == body.get("beside"):
                return exchange["prompter_message"]["parent_id"]
        return body.get("parent_id")

    def _chat(self) -> dict[str, object]:
        questions = [exchange["prompter_message"] for exchange in self.asked.values()]
        answers = [
            self._message(id=id, state="" if id in self._ended else "in_progress")
            for id in self.parents
        ]
        return {
            "id": "chat-1", "title": "newer", "messages": [*questions, *answers],
            "active_thread_tail_message_id": self.tail or None,
        }  # fmt: skip

    def _tail_of(self, request: Seen) -> str:
        body = msgspec.json.decode(request.body or b"{}", type=dict[str, object])
        return str(body.get("active_thread_tail_message_id") or "")

    def _cancel(self) -> Answer:
        self.cancelled = True
        self._loop.call_soon(self._release.set)
        return Answer(body={"cancelled": True, "tokens": 214, "state": "cancelled"})

    def _message(self, *, state: str = "", id: str = "answer-1") -> dict[str, object]:
        state = state or ("cancelled" if self.cancelled else self.ending)
        done = state not in ("pending", "in_progress")
        held = self.pieces[: self.hold_before] if self.cancelled else self.pieces
        return {
            "id": id, "chat_id": "chat-1", "role": "assistant", "state": state,
            "parent_id": self.parents.get(id), "content": "".join(held) if done else None,
            "worker": self.worker, "finish": self.finish, "created_at": self._created(id),
            "truncated": self.truncated,
            "usage": {"prompt_tokens": 12, "completion_tokens": 5},
        }  # fmt: skip

    def _created(self, id: str) -> str:
        """Each message is a second younger than the one before."""
        age = self._ages.setdefault(id, len(self._ages))
        return f"2025-01-01T00:{age // 60:02}:{age % 60:02}Z"

    # --- the streams --------------------------------------------------------------------------

    async def _events(self, request: Seen, writer: asyncio.StreamWriter) -> None:
        script = self.connections.pop(0) if self.connections else Connection()
        if script.status is not None:
            await _reply(writer, _problem(script.status, "store_unavailable", "Wait a little."))
            return
        if self.finished_already:
            writer.write(b"HTTP/1.1 204 No Content\r\nx-request-id: r-204\r\n\r\n")
            return
        after = int(request.headers.get("last-event-id", "-1"))
        answer = request.path.split("/")[-2]
        await self._stream(writer, self._frames(after), script, answer)

    def _frames(self, after: int) -> list[bytes | None]:
        """The stream's parts from a token on; None: wait here until released."""
        position = {"event_type": "pending", "queue_position": 2, "queue_size": 3}
        frames: list[bytes | None] = [_event(position)] * (self.pending if after < 0 else 0)
        for index in range(after + 1, len(self.pieces)):
            if index == self.hold_before:
                frames.append(None)
            frames.append(_event({"event_type": "token", "text": self.pieces[index]}, index))
        end = self.error or {"event_type": "message"}
        return [*frames, b": keep-alive\n\n", _event(end)]

    async def _stream(
        self,
        writer: asyncio.StreamWriter,
        frames: list[bytes | None],
        script: Connection,
        answer: str,
    ) -> None:
        writer.write(_STREAM_HEAD)
        left = script.cut_after
        for frame in frames:
            if frame is None:
                await self._release.wait()
                if self.cancelled:
                    await self._chunk(writer, self._end_frame(answer))
                    break
                continue
            if b'"message"}' in frame:
                frame = self._end_frame(answer)
            await self._chunk(writer, frame if left is None else frame[:left])
            if left is not None and (left := left - len(frame)) <= 0:
                return await self._cut(writer, script)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _end_frame(self, answer: str) -> bytes:
        self._ended.add(answer)
        return _event({"event_type": "message", "message": self._message(id=answer)})

    async def _cut(self, writer: asyncio.StreamWriter, script: Connection) -> None:
        if script.finish:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return
        await asyncio.sleep(0.01)  # let the bytes before the cut arrive: an abort drops them
        raise ConnectionResetError

    async def _chunk(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if data:
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()

    async def _generate(self, writer: asyncio.StreamWriter) -> None:
        frames: list[bytes | None] = [
            _event({"token": piece, "index": index}) for index, piece in enumerate(self.pieces)
        ]
        frames.append(_event({"done": True, "total_tokens": len(self.pieces)}))
        script = self.connections.pop(0) if self.connections else Connection()
        await self._stream(writer, frames, script, "")


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def _event(data: dict[str, object], id: int | None = None) -> bytes:
    head = b"" if id is None else b"id: %d\n" % id
    return head + b"data: " + msgspec.json.encode(data) + b"\n\n"


def _problem(status: int, code: str, detail: str) -> Answer:
    return Answer(status, {"detail": detail, "code": code, "request_id": "req-7"})


def _worker() -> dict[str, object]:
    return {"name": "w1", "models": ["echo"], "slots": 4, "running": 1, "speed": 31.5}


async def _reply(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = msgspec.json.encode(answer.body)
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    fields = "".join(f"{name}: {value}\r\n" for name, value in (headers | answer.headers).items())
    writer.write(f"{head}{fields}\r\n".encode() + body)
    await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, headers, body)

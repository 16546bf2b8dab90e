"""What the mesh's other routes that ask models refuse besides what many do."""

from typing import Any

from mesh.protocol.errors import ErrorCode
from tests.refusals.bodies import NO_MODEL, OBJECT, SAID, tool
from tests.refusals.rows import Table, bad, refused

MISSING = (
    "Missing required parameters, send question, client_id, user_id and stream; there is no {}."
)
QUESTION = {"question": "hello", "client_id": "c", "user_id": "u", "stream": False}
NO_PLUGINS = (
    "This mesh runs no plugins: give the model tools instead, which run in a process of yours "
    "(docs/tools.md)."
)
NO_VECTORS = (
    "This mesh has no vector stores: let a tool of yours search your documents (docs/tools.md)."
)
UNRATED = "This mesh has no safety service: nothing that is said here is rated or rewritten."
CALLS = "Actions are the calls that a model made, and part of their run's story: …"
NOT_KEPT = "Chat completions are not kept by this mesh: …"

NOT_DONE: dict[str, str] = {
    "GET /configs/builtin_plugins": NO_PLUGINS,
    "POST /configs/plugin_config": NO_PLUGINS,
    "POST /safety": UNRATED,
    "GET /v1/files": "This mesh keeps no files: …",
    "POST /v1/files": "This mesh keeps no files: …",
    "GET /v1/vector_stores": NO_VECTORS,
    "POST /v1/vector_stores": NO_VECTORS,
    "GET /v1/containers": "This mesh runs no code that models write: …",
    "POST /v1/containers": "This mesh runs no code that models write: …",
    "POST /v1/actions": CALLS,
    "DELETE /v1/actions/{action_id}": CALLS,
    "GET /v1/chat/completions": NOT_KEPT,
    "GET /v1/chat/completions/{completion_id}": NOT_KEPT,
    "POST /v1/chat/completions/{completion_id}": NOT_KEPT,
    "DELETE /v1/chat/completions/{completion_id}": NOT_KEPT,
    "GET /v1/chat/completions/{completion_id}/messages": NOT_KEPT,
    "POST /v1/responses/compact": "Nothing is compacted by this mesh: …",
    "POST /v1/responses/input_tokens": "The tokens of an input are not counted before …",
    "DELETE /v1/models/{model}": "Models are what workers serve: …",
    "POST /v1/threads/runs": "Make the thread first (POST /v1/threads), …",
}

LEFT_OUT: dict[str, Table] = {
    name: (refused(ErrorCode.NOT_IMPLEMENTED, sentence, what="anything"),)
    for name, sentence in NOT_DONE.items()
}

NO_MESSAGES: tuple[Any, ...] = ({}, {"messages": []}, {"messages": "hello"})

ROWS: dict[str, Table] = {
    **LEFT_OUT,
    "POST /generate": (
        refused(ErrorCode.EMPTY_PROMPT, "prompt must not be empty", {"prompt": " "}, status=200),
        refused(ErrorCode.EMPTY_PROMPT, "prompt must not be empty", {}, status=200),
        refused(
            ErrorCode.MODEL_NOT_FOUND,
            "requested model `none` is unavailable, only `echo` is loaded",
            {"prompt": "hello", "model": "none"},
            status=200,
        ),
        bad(
            "params.temperature",
            "params.temperature: Expected `float` <= 5.0.",
            {"prompt": "hello", "params": {"temperature": 6}},
        ),
        bad(
            "params.nonsense",
            "There is no parameter 'params.nonsense' here; leave it out.",
            {"prompt": "hello", "params": {"nonsense": 1}},
        ),
        bad(
            "Last-Event-ID",
            "Last-Event-ID needs the Idempotency-Key of the request to read on from.",
            {"prompt": "hello"},
            "a `Last-Event-ID` without an `Idempotency-Key`",
            headers={"Last-Event-ID": "3"},
        ),
        refused(
            ErrorCode.NOT_AUTHENTICATED,
            "Say in username whose chat it is, or sign in.",
            {"prompt": "hello", "chat_id": 1},
            by="nobody",
            loopback=True,
        ),
        refused(
            ErrorCode.FORBIDDEN,
            "This key may not be used here: it lacks the scope 'chats'.",
            {"prompt": "hello", "chat_id": 1},
            "a `chat_id`, with a key without the scope `chats`",
            by="ask key",
        ),
    ),
    "POST /tokenize": (
        refused(
            ErrorCode.MODEL_NOT_FOUND, NO_MODEL, {"prompt": "x", "model": "none"}, param="model"
        ),
    ),
    "GET /v1/client/info": (
        bad(
            "client_id",
            "The parameter 'client_id' is needed here and missing.",
            what="no `client_id`",
        ),
        refused(ErrorCode.NOT_FOUND, "There is no such client.", query={"client_id": "nobody"}),
    ),
    "POST /v1/ask": (
        *(
            bad(
                name,
                MISSING.format(name),
                {key: each for key, each in QUESTION.items() if key != name},
                f"no `{name}`, or `null`",
            )
            for name in QUESTION
        ),
        bad(
            "question",
            MISSING.format("question"),
            QUESTION | {"question": " "},
            "a `question` that says nothing",
        ),
        bad(
            "history[0].created",
            "There is no parameter 'history[0].created' here; leave it out.",
            QUESTION | {"history": [{"role": "user", "content": "x", "created": 1}]},
            "a turn's field that is not known",
        ),
        bad(
            "history[0].role",
            "Invalid enum value 'king'.",
            QUESTION | {"history": [{"role": "king", "content": "x"}]},
            "a turn of another role",
        ),
        refused(
            ErrorCode.MODEL_NOT_FOUND, NO_MODEL, QUESTION | {"model": "none"}, '`"model": "none"`'
        ),
    ),
    "POST /api/messages/process": (
        *(bad(None, "Invalid or missing 'messages' in request", body) for body in NO_MESSAGES),
        bad(None, "Message content is missing", {"messages": [{"role": "user"}]}),
        bad(None, "Message content is missing", {"messages": [{"content": " "}]}),
        bad(
            None,
            "A thread's id has at most 200 characters",
            SAID | {"threadId": "x" * 201},
            "a `threadId` of 201 characters",
        ),
        bad(
            None,
            "threadId and thread_id are the same and say different things; give one",
            SAID | {"threadId": "x", "thread_id": "y"},
            "a `threadId` and another `thread_id`",
        ),
        bad(
            None,
            "Unsupported inference type: quantum",
            SAID | {"inferenceType": "quantum"},
            '`"inferenceType": "quantum"`',
        ),
        bad(
            None,
            "The model echo is none for inference of the type cloud",
            SAID | {"model": "echo", "inferenceType": "cloud"},
            "a model that is none of the `inferenceType`",
        ),
        refused(
            ErrorCode.NO_WORKER,
            "Nobody serves a model for inference of the type cloud now.",
            SAID | {"inferenceType": "cloud"},
            "an `inferenceType` of which nobody serves a model",
        ),
        refused(ErrorCode.MODEL_NOT_FOUND, NO_MODEL, SAID | {"model": "none"}, '`"model": "none"`'),
        bad(
            None,
            OBJECT,
            SAID | {"tools": [tool({"type": "string"})]},
            'a tool whose parameters are `{"type": "string"}`',
        ),
    ),
}

"""What the routes of assistants, tools and threads refuse besides what many do."""

from typing import Any

from mesh.protocol.errors import ErrorCode
from tests.refusals.bodies import (
    OBJECT,
    formats,
    tool,
    tools,
    unsupported,
)
from tests.refusals.rows import Part, Row, Table, bad, refused

NO_FILES = "Files and vector stores are not kept here; leave it out."
CURSOR = "This cursor is no message of the thread; list from its beginning."
NOTES = {f"note {at}": "x" for at in range(17)}
NO_ASSISTANT = "There is no such assistant."
NO_THREAD = "There is no such thread."


def _notes(**body: Any) -> Part:
    """The rows of `meta_data`."""
    return Part(
        "`meta_data`",
        (
            bad(
                "meta_data",
                "Expected `object` of length <= 16.",
                body | {"meta_data": NOTES},
                "17 notes in `meta_data`",
            ),
            bad(
                "meta_data[...]",
                "Expected `str` of length <= 512.",
                body | {"meta_data": {"a": "x" * 513}},
                "a note of 513 characters",
            ),
            bad(
                "meta_data[...]",
                "Expected `str`, got `int`.",
                body | {"meta_data": {"a": 7}},
                "a note that is a number",
            ),
        ),
    )


def _lists(what: str, after: str) -> tuple[Row, ...]:
    """The row of a list that is read on from nowhere."""
    return (refused(ErrorCode.NOT_FOUND, f"There is no such {what}.", query={"after": after}),)


ASSISTANT: Table = (
    bad("temperature", "Expected `float` <= 2.0.", {"temperature": 2.5}),
    bad("top_p", "Expected `float` <= 1.0.", {"top_p": 1.5}),
    _notes(),
    unsupported("vector_stores", NO_FILES, {"vector_stores": [{}]}),
    unsupported("tool_resources", NO_FILES, {"tool_resources": {"a": {}}}),
    tools({}),
    formats({}),
)

KEPT = Part(
    "a tool that is kept",
    (
        bad(
            "name",
            "A tool's name is that of its function; leave it out.",
            {"name": "another", "function": {"name": "clock"}},
        ),
        bad(
            "function.name",
            "A function's name has 1 to 64 letters, digits, _ and -.",
            {"function": {"name": "two words"}},
        ),
        unsupported(
            "type",
            "Tools of type 'web_search' are not known here.",
            {"type": "web_search", "function": {"name": "clock"}},
        ),
        bad(
            "function.parameters",
            OBJECT,
            {"function": tool({"type": "string"})["function"]},
            'a function whose parameters are `{"type": "string"}`',
        ),
        bad(
            "function.parameters.properties.a.pattern",
            "pattern is not known here, or not in this place; leave it out.",
            {
                "function": tool({"properties": {"a": {"type": "string", "pattern": "x"}}})[
                    "function"
                ]
            },
            "a schema with a keyword that cannot be kept to",
        ),
        refused(
            ErrorCode.CONFLICT,
            "You have a tool '…' already; change that one, or take another name.",
            {"function": {"name": "$another tool"}},
            "the name of another tool of one's own",
            param="name",
        ),
    ),
)


NOT_MY_THREAD = refused(
    ErrorCode.NOT_FOUND,
    NO_THREAD,
    what="somebody else's thread in which one takes part",
    ids={"thread_id": "$shared thread"},
)
NOT_MY_ASSISTANT = refused(
    ErrorCode.NOT_FOUND,
    NO_ASSISTANT,
    what="somebody else's assistant that one may use",
    ids={"assistant_id": "$shared assistant"},
)


def _messages(**body: Any) -> Part:
    """The rows of what somebody writes in a thread."""
    return Part(
        "what is written in a thread",
        (
            bad(
                "content",
                "Expected `str` of length >= 1.",
                body | {"content": ""},
                '`"content": ""`',
            ),
            bad(
                "role",
                "Invalid enum value 'king'.",
                body | {"content": "x", "role": "king"},
                '`"role": "king"`',
            ),
            refused(
                ErrorCode.NOT_FOUND,
                NO_ASSISTANT,
                body | {"content": "x", "role": "assistant", "assistant_id": "nothing"},
                "an `assistant_id` of nothing",
            ),
            refused(
                ErrorCode.NOT_FOUND,
                NO_ASSISTANT,
                body | {"content": "x", "role": "assistant", "assistant_id": "$another assistant"},
                "an `assistant_id` of somebody else's",
            ),
        ),
    )


OUTCOME = bad(
    "tool_call_id",
    "Say which call this is the outcome of.",
    {"content": "x", "role": "tool"},
    "a tool's message without `tool_call_id`",
)


def _steers(role: str, **more: Any) -> Row:
    return refused(
        ErrorCode.FORBIDDEN,
        f"Only the thread's owner may add {role} messages; write as user.",
        {"content": "x", "role": role, "tool_call_id": "x"} | more.pop("body", {}),
        f"a message of the role `{role}` in a thread in which one only takes part",
        param="role",
        **more,
    )


def _posted(role: str = "tool") -> Table:
    """The rows of a message whose thread stands in the body. role: `assistant` where each is one's;
    else what is said where each is a tool's."""
    said = {"thread_id": "$thread", "content": "x"}
    outcome = bad(
        "tool_call_id",
        "Say which call this is the outcome of.",
        said | {"role": role},
        "a tool's message without `tool_call_id`",
    )
    return (
        _messages(thread_id="$thread"),
        _notes(thread_id="$thread", content="x"),
        *(() if role == "assistant" else (outcome,)),
        refused(
            ErrorCode.FORBIDDEN,
            "One writes in one's own name, or in that of an assistant: …",
            said | {"sender_id": "nobody"},
            '`"sender_id": "nobody"`',
            param="sender_id",
        ),
        bad(
            "tool_id",
            "tool_id and tool_call_id name two calls; leave one of them out.",
            said | {"tool_id": "a", "tool_call_id": "b"},
            "a `tool_id` that is not the `tool_call_id`",
        ),
        refused(ErrorCode.NOT_FOUND, NO_THREAD, {"thread_id": "nothing", "content": "x"}),
        refused(
            ErrorCode.NOT_FOUND,
            NO_THREAD,
            {"thread_id": "$another thread", "content": "x"},
            "a `thread_id` of somebody else's",
        ),
        _steers(
            "assistant" if role == "assistant" else "tool", body={"thread_id": "$shared thread"}
        ),
    )


def _thread() -> Part:
    return Part(
        "who takes part",
        (
            bad("participant_ids", "There is no user 'nobody'.", {"participant_ids": ["nobody"]}),
            bad(
                "participant_ids",
                "Expected `array` of length <= 100.",
                {"participant_ids": ["x"] * 101},
                "101 participants",
            ),
        ),
    )


ROWS: dict[str, Table] = {
    "GET /v1/assistants": _lists("assistant", "nothing"),
    "POST /v1/assistants": ASSISTANT,
    "PUT /v1/assistants/{assistant_id}": (*ASSISTANT, NOT_MY_ASSISTANT),
    "DELETE /v1/assistants/{assistant_id}": (NOT_MY_ASSISTANT,),
    "GET /v1/assistants/{assistant_id}/tools": _lists("tool", "nothing"),
    "GET /v1/users/{user_id}/assistants": _lists("assistant", "nothing"),
    "POST /v1/users/{user_id}/assistants/{assistant_id}": (
        bad(
            "user_id",
            "An assistant is its owner's already, and stays so; delete it.",
            what="one's own `user_id`",
        ),
    ),
    "DELETE /v1/users/{user_id}/assistants/{assistant_id}": (
        bad(
            "user_id",
            "An assistant is its owner's already, and stays so; delete it.",
            what="one's own `user_id`",
        ),
    ),
    "GET /v1/tools": _lists("tool", "nothing"),
    "POST /v1/tools": (KEPT,),
    "PUT /v1/tools/{tool_id}": (KEPT,),
    "GET /v1/threads": _lists("thread", "nothing"),
    "POST /v1/threads": (
        _thread(),
        _notes(),
        bad(
            "messages[0].content", "Expected `str` of length >= 1.", {"messages": [{"content": ""}]}
        ),
        bad(
            "tool_call_id",
            "Say which call this is the outcome of.",
            {"messages": [{"content": "x", "role": "tool"}]},
            "a tool's message without `tool_call_id`",
        ),
    ),
    "PUT /v1/threads/{thread_id}": (_thread(), _notes(), NOT_MY_THREAD),
    "DELETE /v1/threads/{thread_id}": (NOT_MY_THREAD,),
    "DELETE /v1/threads/{thread_id}/messages/{message_id}": (
        refused(
            ErrorCode.FORBIDDEN,
            "Only who wrote a message, and who began its thread, may delete it.",
            what="somebody else's message, in somebody else's thread",
            ids={"thread_id": "$shared thread", "message_id": "$shared message"},
        ),
    ),
    "GET /v1/threads/{thread_id}/messages": (
        bad(None, CURSOR, query={"after": "nothing"}),
        bad(None, CURSOR, query={"before": "nothing"}),
    ),
    "POST /v1/threads/{thread_id}/messages": (
        _messages(),
        _notes(content="x"),
        OUTCOME,
        _steers("system", ids={"thread_id": "$shared thread"}),
    ),
    "GET /v1/threads/{thread_id}/formatted_messages": (
        refused(ErrorCode.NOT_FOUND, NO_ASSISTANT, query={"assistant_id": "nothing"}),
    ),
    "GET /v1/threads/{thread_id}/runs": _lists("run", "nothing"),
    "POST /v1/messages": _posted(),
    "POST /v1/messages/tools": _posted("user"),
    "POST /v1/messages/assistant": (
        *_posted("assistant"),
        refused(
            ErrorCode.NOT_IMPLEMENTED,
            "A message is added whole: send all of it at its end, with is_last_chunk true. …",
            {"thread_id": "$thread", "content": "x", "is_last_chunk": False},
            '`"is_last_chunk": false`',
            param="is_last_chunk",
        ),
    ),
}

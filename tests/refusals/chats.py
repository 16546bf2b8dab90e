"""What the routes of chats refuse besides what many do."""

from mesh.protocol.errors import ErrorCode
from tests.refusals.rows import Part, Row, Table, bad, refused

LONG = "x" * 100_001
NO_MODEL = "There is no model 'none'; GET /v1/models lists the ones there are."
PERSONS = "A person wrote this message; give the id of an answer."
REPLY = "parent_id names a person's message; reply to an answer, or ask for one."
CURSOR = "This cursor leads nowhere; list the chats from the beginning."
KEYED = "This idempotency key was used with another body or on another route; use a new key."


def _answering(**body: str) -> Part:
    """The rows of the routes that begin answers. body: what is valid for the rest of it."""
    plugin = {"url": "https://plugin.example"}
    rows = [
        refused(
            ErrorCode.MODEL_NOT_FOUND,
            NO_MODEL,
            body | {"model_config_name": "none"},
            '`"model_config_name": "none"`',
            param="model_config_name",
            status=422,
        ),
        refused(
            ErrorCode.UNSUPPORTED,
            "This mesh runs no plugins; leave them out, or disabled.",
            body | {"plugins": [plugin]},
            "`plugins` that are enabled",
            param="plugins",
        ),
        bad(
            "plugins[0].active",
            "There is no parameter 'plugins[0].active' here; leave it out.",
            body | {"plugins": [plugin | {"active": False}]},
            "a plugin's field that is not known",
        ),
    ]
    for name, value, said in (
        ("temperature", 5.5, "Expected `float` <= 5.0."),
        ("top_p", 1.5, "Expected `float` <= 1.0."),
        ("top_k", -1, "Expected `int` >= 0."),
        ("repetition_penalty", 0, "Expected `float` >= 0.01."),
        ("max_new_tokens", 0, "Expected `int` >= 1."),
        ("nonsense", 1, "There is no parameter 'sampling_parameters.nonsense' here; leave it out."),
    ):
        rows.append(
            bad(
                f"sampling_parameters.{name}",
                said,
                body | {"sampling_parameters": {name: value}},
                f'`"sampling_parameters": {{"{name}": {value}}}`',
                status=422,
            )
        )
    for name in ("system_prompt", "user_profile", "user_response_instructions"):
        rows.append(
            refused(
                ErrorCode.TOO_LARGE,
                f"{name} has 100,001 characters; at most 100,000 are accepted.",
                body | {name: LONG},
                f"`{name}` longer than `MESH_MAX_MESSAGE_CHARS`",
                param=name,
            )
        )
    return Part("how to answer in a chat", tuple(rows))


def _said(**body: str) -> Part:
    """The rows of the routes that take what a person says."""
    return Part(
        "what a person says",
        (
            *(
                refused(
                    ErrorCode.EMPTY_PROMPT,
                    body=body | {"content": each},
                    what=f"`{shown}`",
                    param="content",
                )
                for each, shown in (("", '"content": ""'), (" \n\t", '"content": " \\n\\t"'))
            ),
            refused(
                ErrorCode.TOO_LARGE,
                "content has 100,001 characters; at most 100,000 are accepted.",
                body | {"content": LONG},
                "`content` longer than `MESH_MAX_MESSAGE_CHARS`",
                param="content",
            ),
            bad(
                "parent_id",
                "This chat has messages; name in parent_id the answer you reply to.",
                {"content": "hello"},
                "no `parent_id`, in a chat that has messages",
            ),
            bad(
                "parent_id",
                "parent_id names no message of this chat.",
                {"content": "hello", "parent_id": "nothing"},
                '`"parent_id": "nothing"`',
            ),
            bad(
                "parent_id",
                REPLY,
                {"content": "hello", "parent_id": "$question"},
                "a `parent_id` that is a question's",
            ),
        ),
    )


def _to(**more: object) -> Part:
    """The rows of the routes that answer a person's message."""
    return Part(
        "the question to answer",
        (
            bad(
                "parent_id",
                "parent_id names an answer; an answer's parent is a person's message.",
                {"parent_id": "$answer"} | more,
                "a `parent_id` that is an answer's",
            ),
            refused(
                ErrorCode.NOT_FOUND,
                "There is no such message.",
                {"parent_id": "nothing"} | more,
                '`"parent_id": "nothing"`',
            ),
            refused(
                ErrorCode.NOT_FOUND,
                "There is no such message.",
                {"parent_id": "$another question"} | more,
                "a `parent_id` of somebody else's",
            ),
        ),
    )


def _of_answers(sentence: str, body: object = None, param: str | None = "message_id") -> Row:
    """The row of a person's message where an answer has to be named."""
    more = {} if body is None else {"body": body}
    return bad(
        param, sentence, ids={"message_id": "$question"}, what="a question's `message_id`", **more
    )


ROWS: dict[str, Table] = {
    "POST /chats": (
        bad(
            "title",
            "Expected `str` of length <= 100.",
            {"title": "x" * 101},
            "a `title` of 101 characters",
        ),
    ),
    "GET /chats": (
        bad("after", "after is no cursor of a list of chats.", query={"after": "nonsense"}),
        bad("before", "before is no cursor of a list of chats.", query={"before": "nonsense"}),
        bad(None, CURSOR, query={"after": "bm90aGluZw=="}),
        bad(
            None,
            "Give one of after and before, not both.",
            query={"after": "eA==", "before": "eA=="},
        ),
    ),
    "GET /chats/search": (
        bad("q", "The parameter 'q' is needed here and missing.", what="no `q`"),
        bad(
            "q",
            "Give at least one word to look for.",
            query={"q": " "},
            what="a `q` without a word",
        ),
    ),
    "PUT /chats/{chat_id}": (
        refused(
            ErrorCode.NOT_FOUND,
            "There is no such message.",
            {"active_thread_tail_message_id": "nothing"},
        ),
    ),
    "POST /chats/{chat_id}/title": (
        refused(
            ErrorCode.CONFLICT,
            "This chat has no answer yet that it could be named by.",
            ids={"chat_id": "$empty chat"},
            what="a chat without an answer",
        ),
    ),
    "POST /chats/{chat_id}/prompter_message": (_said(),),
    "POST /chats/{chat_id}/messages": (
        _said(),
        bad(
            "beside",
            "beside names an answer; only a person's message can be worded anew.",
            {"content": "hello", "beside": "$answer"},
            "a `beside` that is an answer's",
        ),
        refused(
            ErrorCode.NOT_FOUND,
            "There is no such message.",
            {"content": "hello", "beside": "nothing"},
            '`"beside": "nothing"`',
        ),
        _answering(content="hello", parent_id="$answer"),
    ),
    "POST /chats/{chat_id}/assistant_message": (_to(), _answering(parent_id="$question")),
    "POST /chats/{chat_id}/drafts": (_to(), _answering(parent_id="$question")),
    "GET /chats/{chat_id}/messages/{message_id}/events": (_of_answers(PERSONS),),
    "POST /chats/{chat_id}/messages/{message_id}/cancel": (_of_answers(PERSONS),),
    "POST /chats/{chat_id}/messages/{message_id}/cancel_token": (
        _of_answers(PERSONS),
        refused(
            ErrorCode.CONFLICT,
            "This answer has ended: there is nothing to stop.",
            what="an answer that has ended",
        ),
    ),
    "POST /chats/{chat_id}/messages/{message_id}/votes": (
        bad("score", "Expected `int` <= 1.", {"score": 2}),
        bad("score", "Expected `int`, got `float`.", {"score": 0.5}),
        _of_answers("Only answers can be scored.", {"score": 1}),
    ),
    "POST /chats/{chat_id}/messages/{message_id}/reports": (
        bad("report_type", "Invalid enum value 'rude'.", {"report_type": "rude"}),
    ),
    "POST /chats/{chat_id}/messages/{message_id}/message_evals": (
        bad(
            "inferior_message_ids",
            "inferior_message_ids may name other answers to the same message only.",
            {"inferior_message_ids": ["nothing"]},
        ),
        bad(
            "inferior_message_ids",
            "inferior_message_ids may name other answers to the same message only.",
            {"inferior_message_ids": ["$answer"]},
            "the answer itself among them",
        ),
        bad(
            "inferior_message_ids",
            "Expected `array` of length <= 100.",
            {"inferior_message_ids": ["x"] * 101},
            "101 of them",
        ),
        _of_answers("Only answers can be compared.", {}),
    ),
    "POST /cancel": (
        refused(
            ErrorCode.INVALID_TOKEN,
            "This is not a cancel token of this mesh.",
            {"cancel_token": "nonsense"},
        ),
    ),
    "POST /fetch": (
        refused(
            ErrorCode.NOT_FOUND,
            "no chat history found with chat ID `7`",
            {"chat_id": 7},
        ),
        refused(
            ErrorCode.NOT_FOUND,
            "no chat history found for user `nobody` with chat ID `7`",
            {"chat_id": 7, "username": "nobody"},
            by="nobody",
            loopback=True,
        ),
        refused(
            ErrorCode.NOT_AUTHENTICATED,
            "Say in username whose chat it is, or sign in.",
            {"chat_id": 7},
            by="nobody",
            loopback=True,
        ),
    ),
    "POST /history": (
        refused(
            ErrorCode.NOT_AUTHENTICATED,
            "Say in username whose chat it is, or sign in.",
            {},
            by="nobody",
            loopback=True,
        ),
        bad(
            "username",
            "Give a name of 1 to 100 characters.",
            {"username": "x" * 101},
            "a `username` of 101 characters",
            by="nobody",
            loopback=True,
        ),
    ),
    "GET /next_chat_id": (
        refused(
            ErrorCode.NOT_AUTHENTICATED,
            "Say in username whose chat it is, or sign in.",
            what="no `username`",
            by="nobody",
            loopback=True,
        ),
    ),
}

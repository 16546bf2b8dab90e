"""What OpenAI's routes refuse besides what many do."""

from mesh.protocol.errors import ErrorCode
from tests.calling import WEATHER
from tests.refusals.bodies import (
    NO_MODEL,
    OBJECT,
    SAID,
    chosen,
    formats,
    sampled,
    tools,
    turns,
    unsupported,
)
from tests.refusals.rows import NOTHING, Row, Table, bad, refused

CHAT_ONLY: tuple[Row, ...] = (
    unsupported(
        "tools[0].type",
        "The type 'web_search' is not known here; use function.",
        SAID | {"tools": [{"type": "web_search", "user_location": None}]},
        "a tool of another type, with what such tools have",
    ),
    unsupported(
        "functions",
        "functions is not supported here; leave it out. Their newer name is `tools`.",
        SAID | {"functions": [{}]},
        "`functions`",
    ),
    unsupported(
        "audio",
        "audio is not supported here; leave it out. Answers are text.",
        SAID | {"audio": {}},
        "`audio`",
    ),
    unsupported(
        "reasoning_effort",
        "reasoning_effort is not supported here; leave it out. Models here do not reason apart "
        "from answering.",
        SAID | {"reasoning_effort": "high"},
        '`"reasoning_effort": "high"`; so any other parameter that docs/openai.md has as refused',
    ),
    bad(
        "top_logprobs",
        "top_logprobs needs logprobs to be true.",
        SAID | {"top_logprobs": 1},
        "`top_logprobs` without `logprobs`",
    ),
    bad(
        "max_tokens",
        "max_tokens and max_completion_tokens contradict each other; give one.",
        SAID | {"max_tokens": 1, "max_completion_tokens": 2},
        "two lengths that differ",
    ),
    bad(
        "service_tier",
        "Invalid enum value 'zzz'.",
        SAID | {"service_tier": "zzz"},
        '`"service_tier": "zzz"`; so a wrong value of any other parameter that is ignored',
    ),
    bad(
        "parallel_tool_calls",
        "There are no tools to be called; leave it out.",
        SAID | {"parallel_tool_calls": True},
        "`parallel_tool_calls` without `tools`",
    ),
    bad(
        "ignore_eos",
        "What has a format has an end; leave ignore_eos out.",
        SAID | {"response_format": {"type": "json_object"}, "ignore_eos": True},
        "`ignore_eos` with a format",
    ),
    unsupported(
        "logprobs",
        "The probabilities of calls are not told; leave them out.",
        SAID | {"tools": [WEATHER], "logprobs": True},
        "`logprobs` with `tools`",
    ),
)

RESPONSE: tuple[Row, ...] = (
    unsupported(
        "nonsense", "There is no parameter 'nonsense'; leave it out.", {"input": "x", "nonsense": 1}
    ),
    unsupported(
        "conversation",
        "conversation is not supported here; leave it out. Use `previous_response_id`.",
        {"input": "x", "conversation": "c"},
        "`conversation`; so any other parameter that docs/openai.md has as refused",
    ),
    refused(ErrorCode.MODEL_NOT_FOUND, NO_MODEL, {"input": "x", "model": "none"}, param="model"),
    refused(ErrorCode.EMPTY_PROMPT, body={"input": " "}, param="input"),
    bad("input", "Expected `array` of length >= 1.", {"input": []}),
    unsupported(
        "text.verbosity",
        "Only medium is known here; ask for it in a message.",
        {"input": "x", "text": {"verbosity": "low"}},
    ),
    unsupported(
        "tool_choice.type",
        "A choice of the type 'file_search' is not known here; use function.",
        {"input": "x", "tool_choice": {"type": "file_search"}},
        "a choice of another type",
    ),
    bad("user", "Expected `str | null`, got `int`.", {"input": "x", "user": 5}),
    bad(
        "metadata",
        "Expected `object` of length <= 16.",
        {"input": "x", "metadata": {f"key {at}": "value" for at in range(17)}},
        "17 pairs of `metadata`",
    ),
    bad(
        "metadata[...]",
        "Expected `str` of length <= 512.",
        {"input": "x", "metadata": {"key": "v" * 513}},
        "a value of 513 characters in `metadata`",
    ),
    bad(
        "stream_options.include_usage",
        "There is no parameter 'stream_options.include_usage' here; leave it out.",
        {"input": "x", "stream": True, "stream_options": {"include_usage": True}},
        "a stream's option that is not of this route",
    ),
    bad(
        "previous_response_id",
        "There is no response 'resp_1' here.",
        {"input": "x", "previous_response_id": "resp_1"},
    ),
    bad(
        "previous_response_id",
        "There is no response '' here.",
        {"input": "x", "previous_response_id": ""},
    ),
    bad(
        "background",
        "What runs in the background has to be stored.",
        {"input": "x", "background": True, "store": False},
    ),
    unsupported(
        "input[0].type",
        "The type 'computer_call' is not known here; use message, function_call, "
        "function_call_output, reasoning.",
        {"input": [{"type": "computer_call", "action": {}}]},
        "an item of another type",
    ),
    bad(
        "input[0].content", "Give a string, or a list of text parts.", {"input": [{"role": "user"}]}
    ),
    unsupported(
        "input[0].role",
        "Use the role system, developer, user or assistant.",
        {"input": [{"role": "king", "content": "x"}]},
    ),
    unsupported(
        "input[0].content[0].type",
        "Models here read text only.",
        {
            "input": [
                {"role": "user", "content": [{"type": "input_image", "image_url": "https://x"}]}
            ]
        },
        "a picture",
    ),
    bad(
        "input[0].call_id",
        "An item of this type needs its call_id.",
        {"input": [{"type": "function_call", "name": "clock"}]},
    ),
    bad(
        "input[0].call_id",
        "There is no call 'c' before this item; send the function_call that it is the outcome of, "
        "too, or the previous_response_id of the response that made it.",
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "4"}]},
        "the outcome of a call that is neither there nor in the response that is followed",
    ),
    bad(
        "tools[0].parameters",
        OBJECT,
        {
            "input": "x",
            "tools": [{"type": "function", "name": "clock", "parameters": {"type": "string"}}],
        },
        'a tool whose parameters are `{"type": "string"}`',
    ),
    bad(
        "tool_choice",
        "There are no tools to be called; give some.",
        {"input": "x", "tool_choice": "required"},
    ),
    bad(
        "text.format.schema",
        "A format of this type needs its schema.",
        {"input": "x", "text": {"format": {"type": "json_schema"}}},
    ),
    bad(
        "text.format.name",
        "A schema needs a name: 1 to 64 letters, digits, _ and -.",
        {"input": "x", "text": {"format": {"type": "json_schema", "schema": {}}}},
        "a schema without a name",
    ),
    bad(
        "text.format.schema",
        "A format of the type text has no schema; use json_schema.",
        {"input": "x", "text": {"format": {"type": "text", "schema": {}}}},
        "a `text` or a `json_object` with a schema, or with a name",
    ),
    bad(
        "input[0].output",
        "An item of the type message has no output; leave it out.",
        {"input": [{"role": "user", "content": "x", "output": "y"}]},
        "an item with what only items of another type have",
    ),
)

ROWS: dict[str, Table] = {
    "POST /v1/chat/completions": (
        turns(),
        sampled(SAID),
        *CHAT_ONLY,
        tools(SAID),
        chosen(SAID),
        formats(SAID),
        bad(
            "Last-Event-ID",
            "Last-Event-ID needs the Idempotency-Key of the request to read on from.",
            SAID | {"stream": True},
            "a stream's `Last-Event-ID` without an `Idempotency-Key`",
            headers={"Last-Event-ID": "3"},
        ),
    ),
    "POST /v1/completions": (
        refused(ErrorCode.EMPTY_PROMPT, body={"prompt": ""}, param="prompt"),
        refused(ErrorCode.EMPTY_PROMPT, body={"prompt": ["x", ""]}, param="prompt"),
        bad("prompt", "Expected `array` of length >= 1.", {"prompt": []}),
        sampled({"prompt": "hello"}),
        unsupported(
            "suffix",
            "suffix is not supported here; leave it out. Nothing is filled in before a text.",
            {"prompt": "x", "suffix": "y"},
        ),
        bad(
            "echo",
            "The prompt's own probabilities are not known; leave echo out.",
            {"prompt": "x", "echo": True, "logprobs": 1},
        ),
        bad(
            "prompt",
            "These are more than 128 answers; send several requests.",
            {"prompt": ["x"] * 129},
            "129 texts",
        ),
        bad(
            "n",
            "These are more than 128 answers; send several requests.",
            {"prompt": ["x"] * 65, "n": 2},
            "65 texts, and two answers to each",
        ),
    ),
    "POST /v1/embeddings": (
        unsupported(
            "nonsense",
            "There is no parameter 'nonsense'; leave it out.",
            {"input": "x", "nonsense": 1},
        ),
        unsupported(
            "dimensions",
            "dimensions is not supported here; leave it out. A vector has as many as its model "
            "gives it.",
            {"input": "x", "dimensions": 7},
        ),
        bad("user", "Expected `str | null`, got `int`.", {"input": "x", "user": 5}),
        bad("input", "There is nothing in this text; leave it out.", {"input": " "}),
        bad("input[1]", "There is nothing in this text; leave it out.", {"input": ["x", " "]}),
        bad("input[0]", "Expected `str`, got `int`.", {"input": [7]}, "ids of tokens: `[7]`"),
        refused(
            ErrorCode.MODEL_NOT_FOUND, NO_MODEL, {"input": "x", "model": "none"}, param="model"
        ),
    ),
    "POST /v1/responses": RESPONSE,
    "GET /v1/responses/{response_id}": (
        unsupported(
            "include",
            "The query parameter 'include' is not supported here; leave it out.",
            NOTHING,
            query={"include[]": "reasoning.encrypted_content"},
        ),
        bad(
            "starting_after",
            "starting_after is for streams; set stream, or leave it out.",
            query={"starting_after": "2"},
        ),
        bad(
            "starting_after",
            "The last event of this response has the number ….",
            query={"stream": "true", "starting_after": "1000"},
        ),
    ),
    "POST /v1/responses/{response_id}/cancel": (
        bad(
            "response_id",
            "Only a response in the background can be cancelled; hang up.",
            what="a response that does not run in the background",
        ),
    ),
    "GET /v1/responses/{response_id}/input_items": (
        *(
            unsupported(
                name,
                f"The query parameter '{name}' is not supported here; leave it out.",
                NOTHING,
                query={given: "x"},
            )
            for given, name in (("include[]", "include"), ("before", "before"))
        ),
        bad("after", "There is no item 'nothing' in this list.", query={"after": "nothing"}),
    ),
}

"""What a chat completion may ask for, parameter by parameter, without a mesh."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from mesh.gateway.openai import text_body
from mesh.gateway.openai.asked import Asked
from mesh.gateway.openai.chat_body import ChatCompletionBody, read
from mesh.gateway.openai.parameters import CHAT, TEXT, Table, Treatment
from mesh.gateway.openai.text_body import CompletionBody
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message, Request, Sampling

HELLO = [{"role": "user", "content": "hello"}]


def ask(**parameters: object) -> Asked:
    return read(msgspec.json.encode({"messages": HELLO} | parameters))


def go_on(**parameters: object) -> Asked:
    return text_body.read(msgspec.json.encode({"prompt": "once"} | parameters))


def refusal(**parameters: object) -> tuple[ErrorCode, str | None]:
    with pytest.raises(MeshError) as refused:
        ask(**parameters)
    assert refused.value.detail.endswith(".")
    return refused.value.code, refused.value.param


def test_what_is_left_out_is_left_to_the_mesh() -> None:
    assert ask() == Asked(
        model=None,
        prompts=((Message(role="user", content="hello"),),),
        sampling=Sampling(),
        max_tokens=None,
        stream=False,
        include_usage=False,
    )


def test_null_is_the_same_as_leaving_out() -> None:
    assert ask(**{name: None for name in CHAT if name != "messages"}) == ask()


def test_every_parameter_of_sampling_arrives() -> None:
    sampling: dict[str, Any] = {
        "temperature": 0.5,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.05,
        "typical_p": 0.8,
        "repetition_penalty": 1.1,
        "presence_penalty": -1.5,
        "frequency_penalty": 1.5,
        "seed": 7,
        "ignore_eos": True,
        "min_tokens": 3,
        "logit_bias": {5: 1.5, 6: -100.0},
        "dry_multiplier": 0.8,
        "dry_base": 1.75,
        "dry_allowed_length": 2,
        "xtc_probability": 0.5,
        "xtc_threshold": 0.1,
    }
    lists = {"stop": ["a", "b"], "banned_strings": ["x"]}
    tuples: dict[str, Any] = {name: tuple(value) for name, value in lists.items()}
    assert ask(**sampling, **lists).sampling == Sampling(**sampling, **tuples)


def test_one_stop_string_is_a_list_of_one() -> None:
    assert ask(stop="end").sampling.stop == ("end",)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit_are_known(name: str) -> None:
    assert ask(**{name: 5}).max_tokens == 5


def test_two_limits_that_contradict_each_other_are_refused() -> None:
    assert ask(max_tokens=5, max_completion_tokens=5).max_tokens == 5
    assert refusal(max_tokens=5, max_completion_tokens=6) == (ErrorCode.BAD_REQUEST, "max_tokens")


def test_messages_are_taken_as_they_are_said() -> None:
    said = ask(
        messages=[
            {"role": "developer", "content": "Be brief.", "name": "boss"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            {"role": "assistant", "content": "", "refusal": None, "tool_calls": None},
        ]
    ).prompts[0]
    assert said == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="ab"),
        Message(role="assistant", content=""),
    )


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "function", "content": "4", "name": "x"}, "messages[1].role"),
        ({"role": "tool", "content": "4"}, "messages[1].tool_call_id"),
        ({"role": "user"}, "messages[1].content"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "messages[1].content[0].type"),
        ({"role": "assistant", "content": "", "tool_calls": [{}]}, "messages[1].tool_calls[0].id"),
        ({"role": "assistant", "audio": {"id": "x"}}, "messages[1].audio"),
        ({"content": "who?"}, "messages[1].role"),
        ("hello", "messages[1]"),
    ],
)
def test_messages_that_cannot_be_shown_to_a_model_are_refused(message: object, param: str) -> None:
    assert refusal(messages=[*HELLO, message])[1] == param


CALLING = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}],
}
OUTCOME = {"role": "tool", "content": "4", "tool_call_id": "c1"}


@pytest.mark.parametrize(
    ("messages", "at"),
    [
        ([OUTCOME], 0),
        ([*HELLO, OUTCOME], 1),
        ([*HELLO, OUTCOME, CALLING], 1),
        ([*HELLO, CALLING, OUTCOME | {"tool_call_id": "c2"}], 2),
        ([*HELLO, CALLING, OUTCOME, *HELLO, OUTCOME | {"tool_call_id": "c0"}], 4),
    ],
)
def test_an_outcome_of_a_call_that_nobody_has_made_before_is_refused(
    messages: list[object], at: int
) -> None:
    assert refusal(messages=messages) == (ErrorCode.BAD_REQUEST, f"messages[{at}].tool_call_id")


@pytest.mark.parametrize(
    "messages",
    [
        [*HELLO, CALLING, OUTCOME],
        [CALLING, OUTCOME],
        [*HELLO, CALLING, *HELLO, OUTCOME, OUTCOME],
        [*HELLO, CALLING],
    ],
)
def test_the_outcome_of_a_call_is_known_wherever_the_call_is_before_it(
    messages: list[object],
) -> None:
    assert len(ask(messages=messages).prompts[0]) == len(messages)


@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": " \n"}]])
def test_an_empty_conversation_is_refused(messages: object) -> None:
    assert refusal(messages=messages)[1] == "messages"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("temperature", "warm"),
        ("top_p", 1.1),
        ("top_k", -1),
        ("min_p", 2),
        ("typical_p", -1),
        ("repetition_penalty", 0),
        ("presence_penalty", 2.5),
        ("frequency_penalty", -2.5),
        ("seed", 1.5),
        ("seed", 1 << 70),
        ("max_tokens", 0),
        ("max_completion_tokens", 1 << 40),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("stop", ""),
        ("stop", [""]),
        ("stream", "yes"),
        ("n", 0),
        ("n", 129),
        ("stream_options", {"include_usage": True}),
        ("model", 7),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(name: str, value: object) -> None:
    code, param = refusal(**{name: value})
    assert code is ErrorCode.BAD_REQUEST
    assert (param or "").startswith(name)


def test_options_of_a_stream_that_are_not_known_are_refused() -> None:
    assert ask(stream=True, stream_options={"include_usage": True}).include_usage
    code, _ = refusal(stream=True, stream_options={"include_poetry": True})
    assert code is ErrorCode.BAD_REQUEST


TABLES: list[tuple[Callable[..., Asked], Table]] = [(ask, CHAT), (go_on, TEXT)]
REFUSED = [
    (of, table, name)
    for of, table in TABLES
    for name, known in table.items()
    if known.treatment is Treatment.REFUSED
]


@pytest.mark.parametrize(("of", "table", "name"), [*REFUSED, (ask, CHAT, "x"), (go_on, TEXT, "x")])
def test_what_is_not_supported_is_refused_by_name(
    of: Callable[..., Asked], table: Table, name: str
) -> None:
    with pytest.raises(MeshError) as refused:
        of(**{name: {"some": "value"}})
    assert (refused.value.code, refused.value.param) == (ErrorCode.UNSUPPORTED, name)


@pytest.mark.parametrize(("of", "table", "name"), REFUSED)
def test_asking_for_nothing_is_not_refused(
    of: Callable[..., Asked], table: Table, name: str
) -> None:
    for value in table[name].harmless:
        assert of(**{name: value}) == of()


def test_true_is_not_one() -> None:
    assert refusal(n=True) == (ErrorCode.BAD_REQUEST, "n")


def test_what_is_used_is_read_and_nothing_else() -> None:
    bodies: list[tuple[Table, type[Struct]]] = [(CHAT, ChatCompletionBody), (TEXT, CompletionBody)]
    for table, body in bodies:
        used = {name for name, known in table.items() if known.treatment is Treatment.USED}
        assert used == set(body.__struct_fields__)


def test_prompts_of_texts_are_texts() -> None:
    assert go_on().raw and go_on().prompts == ((Message(role="user", content="once"),),)
    assert len(go_on(prompt=["a", "b"], n=2).prompts) == 2
    for prompt in ("", ["a", ""]):
        with pytest.raises(MeshError) as refused:
            go_on(prompt=prompt)
        assert refused.value.code is ErrorCode.EMPTY_PROMPT
    for wrong in (
        {"prompt": [1, 2]},
        {"prompt": ["a"] * 65, "n": 2},
        {"echo": True, "logprobs": 1},
    ):
        with pytest.raises(MeshError) as refused:
            go_on(**wrong)
        assert refused.value.code is ErrorCode.BAD_REQUEST
        assert str(refused.value.param).partition("[")[0] in ("prompt", "n", "echo")


def test_each_of_several_answers_has_a_seed_of_its_own() -> None:
    request = Request(
        rid="r", reply="g", tenant="t", model="m", messages=(), created=0.0, deadline=0.0
    )
    made = go_on(prompt=["a", "b"], n=2, seed=7).choices(request)
    assert [(one.messages[0].content, one.sampling.seed) for one in made] == [
        ("a", 7),
        ("a", 8),
        ("b", 7),
        ("b", 8),
    ]
    unseeded = go_on(n=2).choices(request)
    assert [one.sampling.seed for one in unseeded] == [None, None]


def test_likely_tokens_have_to_be_asked_for() -> None:
    assert ask().sampling.logprobs is None
    assert ask(logprobs=True).sampling.logprobs == 0
    assert ask(logprobs=True, top_logprobs=5).sampling.logprobs == 5
    assert refusal(top_logprobs=5) == (ErrorCode.BAD_REQUEST, "top_logprobs")
    assert refusal(logprobs=True, top_logprobs=21)[1] == "top_logprobs"


def test_the_digest_is_of_what_is_answered_and_not_of_how_it_is_read() -> None:
    assert ask(stream=True, user="a").digest() == ask().digest()
    other = [ask(temperature=0), ask(max_tokens=1), ask(model="x"), ask(stop="x")]
    assert len({asked.digest() for asked in [ask(), *other]}) == 5


def test_a_format_has_the_digest_that_it_had_before_its_wish_was_told_with_it() -> None:
    asked = ask(response_format={"type": "json_object"})
    assert asked.grammar is not None and asked.grammar.wish is not None
    bare = replace(asked, grammar=replace(asked.grammar, wish=None))
    assert bare.digest() == asked.digest() != ask().digest()

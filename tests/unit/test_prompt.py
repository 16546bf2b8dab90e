"""Building a prompt: the model's own template, what is left out, and how long the answer may be."""

from collections.abc import Sequence
from itertools import pairwise
from threading import current_thread, main_thread
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message, Request, ToolCall
from mesh.worker.engines.base import EngineError, EngineInfo, Job, Reader
from mesh.worker.prompt import ANSWER, BuiltPrompt, ChatTemplate, PromptBuilder

PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
CHATML = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}"""
STRICT = """{{ bos_token }}{% for message in messages %}
{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}
<{{ message['role'] }}>{{ message['content'] | trim }}</{{ message['role'] }}>
{% endfor %}"""
DEAF = "{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endfor %}"

CALLED = Message(role="assistant", content="")

turns = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "user", "assistant"]),
        content=st.text("ab ", max_size=40),
    ),
    min_size=1,
    max_size=12,
).filter(lambda messages: any(m.role == "user" for m in messages))


class Letters:
    """A tokenizer whose tokens are characters, in the place of an engine."""

    def __init__(
        self,
        context: int,
        template: str | None = PLAIN,
        bos: str = "",
        add_bos: bool = False,
        at_once: int = 0,
    ) -> None:
        self.aside = False
        self.info = EngineInfo(
            model="m",
            engine="letters",
            fingerprint="f",
            context_length=context,
            slots=1,
            chat_template=template,
            bos_token=bos,
            add_bos=add_bos,
            at_once=at_once,
        )

    def encode(self, text: str) -> list[int]:
        self.aside = current_thread() is not main_thread()
        return [ord(character) for character in text]

    async def generate(self, job: Job, reader: Reader) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


def say(text: str) -> list[Message]:
    """Messages from "u:…|a:…|s:…"."""
    roles: dict[str, Literal["system", "user", "assistant"]]
    roles = {"s": "system", "u": "user", "a": "assistant"}
    parts = (part.partition(":") for part in text.split("|"))
    return [Message(role=roles[role], content=content) for role, _, content in parts]


def build(
    messages: Sequence[Message],
    context: int,
    max_tokens: int | None = None,
    fit: Literal["truncate", "refuse"] = "truncate",
    template: str | None = PLAIN,
) -> BuiltPrompt:
    request = Request(
        rid="r",
        reply="gw",
        tenant="t",
        model="m",
        messages=tuple(messages),
        max_tokens=max_tokens,
        fit=fit,
        created=0,
        deadline=0,
    )
    return PromptBuilder(Letters(context, template)).build(request)


# --- the template ---------------------------------------------------------------------------------


def test_a_template_is_rendered_as_the_model_was_trained() -> None:
    text = ChatTemplate(CHATML).render(say("s:Be kind.|u:Hi|a:Hello|u:Bye"))
    assert text == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_template_s_lines_leave_no_blank_lines() -> None:
    assert ChatTemplate(STRICT, "<s>").render(say("u: Hi ")) == "<s><user>Hi</user>\n"


@pytest.mark.parametrize("template", [STRICT, DEAF], ids=["raises", "ignores it"])
def test_without_a_system_role_the_system_prompt_heads_the_first_user_message(
    template: str,
) -> None:
    text = ChatTemplate(template).render(say("s:Be kind.|u:Hi|a:Hello|u:Bye"))
    assert "Be kind.\n\nHi" in text
    assert text.count("Be kind.") == 1


def test_neighbours_of_one_role_are_joined_where_the_template_insists() -> None:
    text = ChatTemplate(STRICT).render(say("s:Be kind.|u:Hi|u:there"))
    assert text == "<user>Be kind.\n\nHi\n\nthere</user>\n"


def test_a_conversation_the_template_refuses_is_the_asker_s_error() -> None:
    with pytest.raises(MeshError, match="must alternate") as refused:
        ChatTemplate(STRICT).render(say("a:Hello|u:Hi"))
    assert refused.value.code == ErrorCode.BAD_REQUEST


def test_a_template_with_a_bug_is_an_error_with_its_reason() -> None:
    with pytest.raises(MeshError, match="ZeroDivisionError"):
        ChatTemplate("{{ messages | length }}{{ 1 / (messages | length - 3) }}").render(
            say("u:1|a:2|u:3")
        )


WITH_CALLS = (
    "{% if tools %}<tool_call>{% endif %}{% for m in messages %}{% for call in m.tool_calls %}"
    "ARGUMENTS{% endfor %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"city": "Oslo"}', '{"city": "Oslo"}!'),
        ('{"city": ', '{"city": '),
        ("", ""),
        ("[1, 2]", "[1, 2]"),
        ("[" * 5000, "[" * 5000),
        ("\x00", "\x00"),
    ],
)
def test_arguments_are_an_object_or_the_text_that_they_are(arguments: str, shown: str) -> None:
    """A call that was cut off stands in the conversation, and so does what an upstream wrote."""
    template = WITH_CALLS.replace(
        "ARGUMENTS",
        "{% set a = call.function.arguments %}{{ a if a is string else (a | tojson) ~ '!' }}",
    )
    called = ToolCall(id="c", name="f", arguments=arguments)
    messages = [Message(role="user", content="Hi"), replace(CALLED, tool_calls=(called,))]
    assert ChatTemplate(template).render(messages) == shown


@pytest.mark.parametrize("source", [None, "ARGUMENTS.items()"])
def test_whatever_building_a_prompt_raises_is_the_request_s_own_failure(
    source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine is not broken for it, and no other worker would do better."""

    def encode(self: Letters, text: str) -> list[int]:
        raise OverflowError("too much")

    template = PLAIN
    if source is None:
        monkeypatch.setattr(Letters, "encode", encode)
    else:
        template = WITH_CALLS.replace("ARGUMENTS", "{{ call.function.arguments.items() }}")
    called = ToolCall(id="c", name="f", arguments='{"city": ')
    messages = [Message(role="user", content="Hi"), replace(CALLED, tool_calls=(called,))]
    with pytest.raises(MeshError) as failed:
        build(messages, 100, template=template)
    assert failed.value.code == ErrorCode.BAD_REQUEST
    assert failed.value.detail.endswith(".")


def test_that_an_engine_cannot_encode_now_is_not_the_request_s_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def encode(self: Letters, text: str) -> list[int]:
        raise EngineError("The model is not loaded just now.")

    monkeypatch.setattr(Letters, "encode", encode)
    with pytest.raises(EngineError):
        build([Message(role="user", content="Hi")], 100)


def test_a_template_that_is_not_jinja_is_refused_at_once() -> None:
    with pytest.raises(MeshError, match="not valid"):
        ChatTemplate("{% for")


@pytest.mark.parametrize(
    "escape",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os }}",
    ],
)
def test_a_template_cannot_get_out_of_its_sandbox(escape: str) -> None:
    with pytest.raises(MeshError):
        ChatTemplate(escape).render(say("u:Hi"))


def test_a_template_has_the_functions_of_the_hubs() -> None:
    template = ChatTemplate(
        "{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}"
        "{{ m | tojson }}{{ eos_token }}{% endfor %}{{ strftime_now('%Y')[:2] }}",
        eos_token="</s>",
    )
    assert template.render(say("u:<é>|a:x")) == '{"role": "user", "content": "<é>"}</s>20'


@pytest.mark.parametrize(
    ("template", "add_bos", "text"),
    [
        ("{{ bos_token }}Hi", True, "<s>Hi"),
        ("Hi", True, "<s>Hi"),
        ("Hi", False, "Hi"),
        ("{{ bos_token }}Hi", False, "<s>Hi"),
    ],
)
def test_the_first_token_is_there_once_if_at_all(template: str, add_bos: bool, text: str) -> None:
    engine = Letters(100, template, "<s>", add_bos)
    request = Request(rid="r", reply="g", tenant="t", model="m", messages=(), created=0, deadline=0)
    assert PromptBuilder(engine).build(request).text == text


@pytest.mark.parametrize(("at_once", "aside"), [(0, True), (4, True), (5, False)])
async def test_what_may_take_a_while_is_encoded_while_others_go_on(
    at_once: int, aside: bool
) -> None:
    engine = Letters(100, at_once=at_once)
    request = Request(
        rid="r",
        reply="g",
        tenant="t",
        model="m",
        messages=tuple(say("u:12345")),
        created=0,
        deadline=0,
    )
    built = await PromptBuilder(engine).prepare(request)
    assert engine.aside is aside
    assert built == PromptBuilder(engine).build(request)


def test_an_engine_without_a_template_gets_the_messages_as_they_are() -> None:
    messages = say("s:Be kind.|u:Hi|u:there")
    built = build(messages, 10, template=None)
    assert built == BuiltPrompt(messages=tuple(messages), max_tokens=ANSWER)


# --- the room -------------------------------------------------------------------------------------


def test_max_tokens_is_capped_to_what_the_context_leaves() -> None:
    built = build(say("u:Hi"), 100, max_tokens=1000)
    assert built.max_tokens == 100 - len(built.ids)


def test_an_answer_may_have_what_it_asks_for_if_there_is_room() -> None:
    assert build(say("u:Hi"), 100, max_tokens=7).max_tokens == 7


def test_an_answer_that_asks_for_nothing_is_bounded() -> None:
    assert build(say("u:Hi"), 100_000).max_tokens == ANSWER


# --- what is left out -----------------------------------------------------------------------------


def test_the_oldest_turns_are_left_out_and_the_system_prompt_stays() -> None:
    built = build(say("s:Be kind.|u:one|a:two|u:three|a:four|u:five"), 85, max_tokens=10)
    assert list(built.messages) == say("s:Be kind.|u:three|a:four|u:five")
    assert built.truncated == 2


def test_as_few_messages_as_will_do_are_left_out() -> None:
    messages = say("|".join(f"u:question {n}|a:answer {n}" for n in range(50)) + "|u:last")
    built = build(messages, 400, max_tokens=10)
    more = messages[built.truncated - 2 :]
    assert build(more, 400, max_tokens=10).truncated == 2
    assert list(built.messages) == messages[built.truncated :]


def test_room_is_kept_for_the_answer() -> None:
    built = build(say("u:" + "x" * 50 + "|a:" + "y" * 50 + "|u:z"), 130, max_tokens=1000)
    assert built.max_tokens >= 130 // 4


def test_a_last_message_that_is_too_long_loses_its_beginning() -> None:
    built = build(say("s:Be kind.|u:old|a:old|u:" + "x" * 500 + "the end"), 100, max_tokens=20)
    assert [m.role for m in built.messages] == ["system", "user"]
    assert built.messages[-1].content.endswith("xxthe end")
    assert built.truncated == 3
    assert len(built.ids) == 80


def test_a_system_prompt_that_fills_the_context_is_refused() -> None:
    with pytest.raises(MeshError, match="context is 100") as refused:
        build(say("s:" + "x" * 100 + "|u:Hi"), 100)
    assert refused.value.code == ErrorCode.CONTEXT_OVERFLOW


def test_refusing_to_truncate_names_the_numbers() -> None:
    with pytest.raises(MeshError, match="has 117 tokens and the model's context is 100") as refused:
        build(say("u:" + "x" * 100), 100, fit="refuse")
    assert refused.value.code == ErrorCode.CONTEXT_OVERFLOW
    assert refused.value.param == "messages"


def test_what_just_fits_is_not_refused() -> None:
    built = build(say("u:" + "x" * 82), 100, max_tokens=50, fit="refuse")
    assert (len(built.ids), built.max_tokens, built.truncated) == (99, 1, 0)


@given(turns, st.integers(60, 400), st.integers(1, 300))
def test_whatever_is_left_fits_and_begins_where_it_should(
    messages: list[Message], context: int, max_tokens: int
) -> None:
    system = [m for m in messages if m.role == "system"]
    last = max(at for at, m in enumerate(messages) if m.role == "user")
    try:
        built = build(messages, context, max_tokens)
    except MeshError as error:
        assert error.code == ErrorCode.CONTEXT_OVERFLOW
        return
    kept = list(built.messages)
    assert 1 <= built.max_tokens <= max_tokens
    assert len(built.ids) + built.max_tokens <= context
    assert [m for m in kept if m.role == "system"] == system
    assert kept[-1].role == messages[-1].role
    assert messages[last].content.endswith([m for m in kept if m.role == "user"][-1].content)
    if built.truncated:
        others = [m for m in kept if m.role != "system"]
        assert others[0].role == "user"
    else:
        assert kept == messages


@given(st.lists(st.integers(0, 30), min_size=2, max_size=10), st.integers(120, 200))
def test_a_longer_context_never_keeps_less(sizes: list[int], context: int) -> None:
    messages = say("|".join(f"u:{'x' * size}|a:{'y' * size}" for size in sizes) + "|u:z")
    built = [build(messages, length, max_tokens=20) for length in (context, context + 20)]
    assert all(less.truncated >= more.truncated for less, more in pairwise(built))

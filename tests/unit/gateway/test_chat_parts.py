"""The pure parts of the chat routes: instructions, presets, views, what was seen."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from mesh.gateway import from_log, views
from mesh.gateway.instructions import system_message
from mesh.gateway.presets import PRESETS
from mesh.gateway.seen import Seen
from mesh.protocol.chats import ChatMessage, MessageState, WorkParameters
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import Cancelled, Claim, Done, End, Failed, Queued
from mesh.protocol.request import Message, Request, Sampling, Turn, UserMessage
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from mesh.protocol.worker_info import ModelCard
from mesh.store import tree
from mesh.store.models import Chat

WORKER = Writer("w1", "i1")
TURN = Turn(
    chat_id="c1",
    user_id="u1",
    user_message=UserMessage(id="m1", content="hello", created=1.0),
    system_prompt="Be kind.",
)


# --- instructions ---------------------------------------------------------------------------------


def test_without_instructions_there_is_no_system_message() -> None:
    assert system_message() is None
    assert system_message("  ", "\n", "") is None


def test_a_system_prompt_alone_is_the_system_message() -> None:
    assert system_message("Be kind.") == Message(role="system", content="Be kind.")


def test_instructions_follow_the_system_prompt_under_headings() -> None:
    message = system_message("Be kind.", "I am a pilot.", "Use verse.")
    assert message is not None
    assert message.content == (
        "Be kind.\n\n"
        "About the user:\nI am a pilot.\n\n"
        "How the user wants to be answered:\nUse verse."
    )


def test_each_instruction_may_stand_alone() -> None:
    message = system_message(user_profile="I am a pilot.")
    assert message is not None and message.content == "About the user:\nI am a pilot."


# --- presets --------------------------------------------------------------------------------------


def test_the_presets_are_the_known_ones() -> None:
    values = {
        preset.name: (
            preset.sampling_parameters.top_k,
            preset.sampling_parameters.top_p,
            preset.sampling_parameters.typical_p,
            preset.sampling_parameters.temperature,
            preset.sampling_parameters.repetition_penalty,
        )
        for preset in PRESETS
    }
    assert values == {
        "k50": (50, 0.95, None, 0.75, 1.2),
        "k50-Creative": (50, 0.95, None, 0.85, 1.2),
        "k50-Precise": (50, 0.95, None, 0.1, 1.2),
        "k50-Original": (50, 0.95, None, 0.9, 1.2),
        "k50-Plugins": (50, None, None, 0.35, 1 / 0.9),
        "nucleus9": (None, 0.9, None, 0.8, 1.2),
        "typical2": (None, None, 0.2, 0.8, 1.2),
        "typical3": (None, None, 0.3, 0.8, 1.2),
    }
    assert all(preset.sampling_parameters.max_new_tokens == 1024 for preset in PRESETS)


# --- what was seen --------------------------------------------------------------------------------


def told(chat: str, user: str = "u") -> Turn:
    said = UserMessage(id="m", content="", created=0.0)
    return Turn(chat_id=chat, user_id=user, user_message=said)


def test_the_last_sequence_of_chat_and_user_only_grows() -> None:
    seen = Seen()
    for chat, seq in (("a", 5), ("a", 3), ("b", 4)):
        seen.note(told(chat), seq)
    assert [seen.last(id) for id in ("a", "b", "u", "v")] == [5, 4, 5, 0]


def test_who_was_silent_longest_is_forgotten_first() -> None:
    seen = Seen(most=3)
    for chat, seq in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        seen.note(told(chat), seq)
    assert [seen.last(id) for id in ("a", "b", "c", "u")] == [3, 0, 4, 4]


# --- views ----------------------------------------------------------------------------------------


def answered(*ends: End) -> Run:
    """A request of a chat, claimed once, and its end."""
    request = Request(
        rid="r1",
        reply="gw1",
        tenant="u1",
        model="tiny",
        messages=(Message(role="user", content="hello"),),
        sampling=Sampling(temperature=0.0, seed=7),
        max_tokens=9,
        created=2.0,
        deadline=600.0,
    )
    run = Run(bare=True)
    run.event(Queued(uid="q", request=request, turn=TURN), Writer("gateway", "g"), 1)
    run.event(Claim(uid="c", n=1, item=1, ack_reply="", model="tiny"), WORKER, 2)
    for end in ends:
        run.event(end, WORKER, 3)
    return run


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ((), "in_progress"),
        ((Done(uid="e", text="hi", finish="stop"),), "complete"),
        ((Cancelled(uid="e"),), "cancelled"),
        ((Failed(uid="e", code=ErrorCode.DEADLINE_EXCEEDED),), "timeout"),
        ((Failed(uid="e", code=ErrorCode.ENGINE_FAILED),), "aborted_by_worker"),
    ],
)
def test_a_request_has_the_state_its_log_tells(ends: tuple[End, ...], state: MessageState) -> None:
    assert from_log.state(answered(*ends)) == state
    assert from_log.state(Run()) == "pending"


def test_an_answer_from_the_log_has_all_that_was_asked_and_done() -> None:
    run = answered(Done(uid="e", text="hi", finish="length", truncated=2))
    message = from_log.answer(run, TURN)
    assert message == ChatMessage(
        id="r1",
        chat_id="c1",
        parent_id="m1",
        created_at=2.0,
        role="assistant",
        state="complete",
        content="hi",
        work=WorkParameters(
            model="tiny",
            sampling=Sampling(temperature=0.0, seed=7),
            max_tokens=9,
            system_prompt="Be kind.",
        ),
        finish="length",
        truncated=2,
        worker="w1",
        attempts=1,
        usage=message.usage,
        timings=message.timings,
    )


def test_an_answer_is_later_than_its_question_though_that_was_told_the_time_elsewhere() -> None:
    said = replace(TURN.user_message, created=5.0)
    message = from_log.answer(answered(), replace(TURN, user_message=said))
    chat = Chat(id="c1", title="", modified_at=0.0)
    stored = tree.answer(chat, "r1", 2.0, tree.question(chat, said, None))
    assert message.created_at == stored.created_at > 5.0


def test_a_message_is_shown_with_its_models_lengths() -> None:
    run = answered(Failed(uid="e", code=ErrorCode.ENGINE_FAILED, text="h"))
    message = from_log.answer(run, TURN)
    card = ModelCard(name="tiny", fingerprint="f", engine="echo", context_length=512)
    shown = views.message_read(message, {"tiny": card})
    assert shown.created_at == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert (shown.content, shown.error) == ("h", ErrorCode.ENGINE_FAILED.sentence)
    work = shown.work_parameters
    assert work is not None
    assert (work.do_sample, work.seed, work.system_prompt) == (False, 7, "Be kind.")
    assert work.sampling_parameters.max_new_tokens == 9
    assert (work.model_config.max_input_length, work.model_config.max_total_length) == (511, 512)
    absent = views.message_read(message, {"tiny": None}).work_parameters
    assert absent is not None and absent.model_config.max_total_length is None

"""Chats and messages as the chat routes show them. Pure; `from_log.py` makes what the log says."""

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, structs

from mesh.gateway.presets import SamplingParameters
from mesh.protocol.chats import Chat, ChatMessage, MessageState, ReportType, WorkParameters
from mesh.protocol.events import Timings, Usage
from mesh.protocol.worker_info import ModelCard


class ReportRead(Struct, frozen=True, kw_only=True):
    id: str
    report_type: ReportType
    reason: str
    created_at: datetime


class ModelConfigRead(Struct, frozen=True, kw_only=True):
    """The model of an answer. Lengths in tokens; null while no worker serves the model."""

    model_id: str
    max_input_length: int | None
    max_total_length: int | None
    quantized: bool | None = None


class WorkParametersRead(Struct, frozen=True, kw_only=True):
    """How an answer was asked for."""

    model_config: ModelConfigRead
    sampling_parameters: SamplingParameters
    do_sample: bool
    seed: int | None
    system_prompt: str | None
    user_profile: str | None
    user_response_instructions: str | None
    plugins: tuple[str, ...] = ()
    plugin_max_depth: int = 0


class UsageRead(Struct, frozen=True, kw_only=True):
    """Tokens as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class TimingsRead(Struct, frozen=True, kw_only=True):
    """Seconds: in the queue, from claim to first token, from first token to the end."""

    queue: float
    first_token: float | None
    generate: float


class MessageRead(Struct, frozen=True, kw_only=True):
    """A node of a chat's tree: what a person wrote (prompter), or an answer (assistant).

    finish: `length` if a complete answer was cut off at max_new_tokens; truncated: messages that
    had to be left out of the prompt; error, error_code: of a failed answer; attempts: how often a
    worker took it up; inferior_message_ids: the siblings that its reader found worse. The safety
    fields and used_plugin are always null.
    """

    id: str
    parent_id: str | None
    content: str | None
    chat_id: str
    created_at: datetime
    role: Literal["prompter", "assistant"]
    state: MessageState
    score: int
    reports: tuple[ReportRead, ...]
    work_parameters: WorkParametersRead | None
    finish: str | None
    truncated: int
    error: str | None
    error_code: str | None
    worker: str | None
    attempts: int
    usage: UsageRead | None
    timings: TimingsRead | None
    inferior_message_ids: tuple[str, ...] = ()
    safe_content: None = None
    safety_level: None = None
    safety_label: None = None
    safety_rots: None = None
    used_plugin: None = None


class ChatListRead(Struct, frozen=True, kw_only=True):
    """A chat without its messages."""

    id: str
    created_at: datetime
    modified_at: datetime
    title: str | None
    hidden: bool
    allow_data_use: bool
    active_thread_tail_message_id: str | None


class ChatRead(ChatListRead, frozen=True, kw_only=True):
    """A chat with all of its messages, oldest first; parent_id makes them a tree."""

    messages: tuple[MessageRead, ...]


class ChatList(Struct, frozen=True, kw_only=True):
    """Chats, newest first; next leads to older ones and prev to newer ones."""

    chats: tuple[ChatListRead, ...]
    next: str | None
    prev: str | None


Cards = dict[str, ModelCard | None]
"""Every known model by name, with its card while it is served."""


def chat_read(chat: Chat) -> ChatListRead:
    return ChatListRead(
        id=chat.id,
        created_at=_time(chat.created_at),
        modified_at=_time(chat.modified_at),
        title=chat.title,
        hidden=chat.hidden,
        allow_data_use=chat.allow_data_use,
        active_thread_tail_message_id=chat.active_thread_tail_message_id,
    )


def with_messages(chat: ChatListRead, messages: tuple[MessageRead, ...]) -> ChatRead:
    return ChatRead(**structs.asdict(chat), messages=messages)


def message_read(message: ChatMessage, cards: Cards) -> MessageRead:
    reports = tuple(
        ReportRead(
            id=report.id,
            report_type=report.report_type,
            reason=report.reason,
            created_at=_time(report.created_at),
        )
        for report in message.reports
    )
    work = None if message.work is None else _work(message.work, cards.get(message.work.model))
    return MessageRead(
        id=message.id,
        parent_id=message.parent_id,
        content=message.content,
        chat_id=message.chat_id,
        created_at=_time(message.created_at),
        role=message.role,
        state=message.state,
        score=message.score,
        reports=reports,
        work_parameters=work,
        finish=message.finish,
        truncated=message.truncated,
        error=message.error,
        error_code=message.error_code,
        worker=message.worker,
        attempts=message.attempts,
        usage=None if message.usage is None else _usage(message.usage),
        timings=None if message.timings is None else _timings(message.timings),
        inferior_message_ids=message.inferior,
    )


def model_config_read(model: str, card: ModelCard | None) -> ModelConfigRead:
    context = (card.context_length or None) if card else None  # 0: nobody knows
    return ModelConfigRead(
        model_id=model, max_input_length=context and context - 1, max_total_length=context
    )


def _work(work: WorkParameters, card: ModelCard | None) -> WorkParametersRead:
    sampling = work.sampling
    return WorkParametersRead(
        model_config=model_config_read(work.model, card),
        sampling_parameters=SamplingParameters(
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            typical_p=sampling.typical_p,
            temperature=sampling.temperature,
            repetition_penalty=sampling.repetition_penalty,
            max_new_tokens=work.max_tokens or SamplingParameters().max_new_tokens,
        ),
        do_sample=sampling.temperature != 0,
        seed=sampling.seed,
        system_prompt=work.system_prompt or None,
        user_profile=work.user_profile or None,
        user_response_instructions=work.response_instructions or None,
    )


def _usage(usage: Usage) -> UsageRead:
    return UsageRead(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
    )


def _timings(timings: Timings) -> TimingsRead:
    return TimingsRead(
        queue=timings.queue, first_token=timings.first_token, generate=timings.generate
    )


def _time(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)

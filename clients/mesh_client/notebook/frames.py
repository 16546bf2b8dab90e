"""What the mesh knows as DataFrames, one row a thing; times are UTC, durations seconds."""

from collections.abc import Iterable

import pandas as pd

from mesh_client.notebook.answer import Answer
from mesh_client.objects import ChatInfo, Message, Worker, WorkerEvent
from mesh_client.thread import Thread

CHATS = ["id", "title", "created_at", "modified_at", "hidden"]
WORKERS = ["name", "models", "slots", "running", "load", "tokens_per_s", "draining", "hardware"]
EVENTS = ["at", "worker", "kind", "detail"]
HEARD = ["at", "kind", "detail"]
MESSAGES = [
    "id",
    "parent_id",
    "created_at",
    "role",
    "state",
    "content",
    "model",
    "worker",
    "attempts",
    "prompt_tokens",
    "tokens",
    "queue_s",
    "first_token_s",
    "generate_s",
    "tokens_per_s",
    "error",
]
ANSWERS = [
    "question",
    "answer",
    "state",
    "model",
    "worker",
    "tokens",
    "first_token_s",
    "seconds",
    "tokens_per_s",
    "error",
]


def chats(found: Iterable[ChatInfo]) -> pd.DataFrame:
    """Chats as they are listed."""
    rows = [(c.id, c.title, c.created_at, c.modified_at, c.hidden) for c in found]
    return pd.DataFrame(rows, columns=CHATS)


def workers(found: Iterable[Worker]) -> pd.DataFrame:
    """Workers; load is the share of slots that are busy."""
    rows = [
        (
            worker.name,
            ", ".join(worker.models),
            worker.slots,
            worker.running,
            worker.running / worker.slots if worker.slots else 0.0,
            worker.speed,
            worker.draining,
            worker.hardware,
        )
        for worker in found
    ]
    return pd.DataFrame(rows, columns=WORKERS)


def worker_events(found: Iterable[WorkerEvent]) -> pd.DataFrame:
    """What happened to workers."""
    rows = [(event.at, event.worker, event.kind, event.detail) for event in found]
    return pd.DataFrame(rows, columns=EVENTS)


def messages(thread: Thread) -> pd.DataFrame:
    """A chat's messages of all branches; figures are of answers."""
    return pd.DataFrame([_message(m) for m in thread.messages()], columns=MESSAGES)


def heard(answer: Answer) -> pd.DataFrame:
    """What happened to an answer; `at` counts from its asking."""
    return pd.DataFrame(
        [(event.at, event.kind, event.detail) for event in answer.heard_of], columns=HEARD
    )


def answers(found: Iterable[Answer]) -> pd.DataFrame:
    """Answers as this notebook saw them."""
    rows = [
        (
            answer.question,
            answer.text,
            answer.state,
            answer.model,
            answer.message.worker if answer.message else None,
            answer.tokens,
            answer.first_token,
            answer.seconds,
            answer.speed,
            answer.sentence or None,
        )
        for answer in found
    ]
    return pd.DataFrame(rows, columns=ANSWERS)


def _message(message: Message) -> tuple[object, ...]:
    usage, timings = message.usage, message.timings
    tokens = usage.completion_tokens if usage else None
    generate = timings.generate if timings else None
    return (
        message.id,
        message.parent_id,
        message.created_at,
        message.role,
        message.state,
        message.content,
        message.model or None,
        message.worker,
        message.attempts or None,
        usage.prompt_tokens if usage else None,
        tokens,
        timings.queue if timings else None,
        timings.first_token if timings else None,
        generate,
        tokens / generate if tokens and generate else None,
        message.error,
    )

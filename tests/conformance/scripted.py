"""A model that says what the clients' own tests want to hear. The only thing here that is not real.

The echo engine, with a script before it: what was asked decides what is said, the first of the
answers to it that fits the format which is asked for.
"""

import re

from msgspec.structs import replace

from mesh.protocol.request import Message
from mesh.worker.engines.base import Job, Reader
from mesh.worker.engines.echo import EchoEngine
from mesh.worker.grammar import fits
from mesh.worker.tools import written

_JOKE = '{"setup": "Why do cats sleep?", "punchline": "They can."}'
_PERSON = r'{"name": "\1", "age": \2}'

SCRIPT: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"magic_function_no_args", (written("magic_function_no_args", "{}"),)),
    (r"magic_function\((\d+)\)", (written("magic_function", r'{"input": \1}'),)),
    (r"Pirate greeting", (written("greeting_generator", '{"answer_style": "Pirate"}'),)),
    (
        r"customer named '([^']+)'",
        (written("unicode_customer", r'{"customer_name": "\1", "description": "a company"}'),),
    ),
    (
        r"weather in (\w[\w ]*)",
        (
            written("get_weather", r'{"location": "\1"}'),
            written("get_weather", r'{"city": "\1"}'),
        ),
    ),
    (r"joke", (_JOKE, written("Joke", _JOKE))),
    (
        r"(\w+) is (\d+) years old",
        (
            _PERSON,
            *(written(name, _PERSON) for name in ("Person", "PartialPerson", "final_result")),
        ),
    ),
)


def said(job: Job) -> str:
    """What the model says to a conversation; what the script has nothing for, is said back."""
    asked = next((m.content for m in reversed(job.messages) if m.role in ("user", "tool")), "")
    for pattern, answers in SCRIPT:
        found = re.search(pattern, asked) if job.messages[-1].role == "user" else None
        for answer in answers if found else ():
            text = found.expand(answer) if found else ""
            if job.grammar is None or fits(job.grammar, text):
                return text
    return asked


class ScriptedEngine(EchoEngine):
    """Says what `said` has."""

    async def generate(self, job: Job, reader: Reader) -> None:
        job = replace(job, messages=(Message(role="user", content=said(job)),))
        await super().generate(job, reader)

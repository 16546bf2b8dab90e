"""The units that conversations are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Turn:
    """One message of the user and the model's answer to it."""

    user: str
    answer: str


Skill = Callable[[Random], list[Turn]]
"""A skill makes turns which belong together: a request, and sometimes a follow-up to it."""

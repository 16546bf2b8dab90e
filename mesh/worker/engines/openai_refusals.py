"""What it means that an upstream refuses: whose fault it is, and when to ask again. Pure.

An upstream that has too much to do says so (429, or 503 with a time), and is waited for: that is no
failure of an engine, of which a request has only a few.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from mesh.protocol.errors import ErrorCode, MeshError
from mesh.worker.engines.base import EngineError

PATIENCE = 60.0
"""Seconds in all for which an upstream is waited for that has too much to do."""
PAUSE, LONGEST = 1.0, 16.0
"""Seconds to wait where it does not say: at first, then twice as long each time, and at most."""

_AT_FAULT = {400, 413, 415, 422}
_ADVICE = {
    401: "set MESH_UPSTREAM_KEY to a key it accepts",
    403: "set MESH_UPSTREAM_KEY to a key that may use this model",
    404: "look at MESH_UPSTREAM and at the model's name",
    429: "it asks for fewer requests; give this worker fewer MESH_SLOTS",
}
_NO_USE_TO_WAIT = "insufficient_quota"
"""The code of OpenAI's 429 that means: nothing is left of what was paid for."""


class ToldError(Struct, frozen=True):
    message: str = ""
    code: Any = None


class _Body(Struct, frozen=True):
    error: ToldError | str | None = None


class Waiting:
    """How long one request still waits for an upstream that has too much to do."""

    def __init__(self, patience: float) -> None:
        self._left = patience
        self._pause = PAUSE

    def pause(self, status: int, headers: Mapping[str, str], body: bytes) -> float | None:
        """Seconds until it is asked again after a refusal; None where that is of no use."""
        told = _told(headers)
        if status == 429:
            if _error(body).code == _NO_USE_TO_WAIT:
                return None
        elif status != 503 or told is None:
            return None
        pause = self._pause if told is None else max(told, 0.1)
        if pause > self._left:
            return None
        self._left -= pause
        self._pause = min(2 * self._pause, LONGEST)
        return pause


def refusal(status: int, body: bytes) -> EngineError | MeshError:
    """What an HTTP status means: the request's fault, or the upstream's. Quotes no key back."""
    if status in _AT_FAULT:
        return MeshError(ErrorCode.BAD_REQUEST, f"The upstream refused this: {message(body)}")
    advice = _ADVICE.get(status, "another worker may do better")
    return EngineError(f"The upstream answered with status {status}; {advice}.")


def message(body: bytes) -> str:
    """Why it refuses, in its own words."""
    return _error(body).message or "it did not say why."


def _error(body: bytes) -> ToldError:
    try:
        error = msgspec.json.decode(body, type=_Body).error
    except (msgspec.DecodeError, RecursionError):
        error = None
    return ToldError(error) if isinstance(error, str) else error or ToldError()


def _told(headers: Mapping[str, str]) -> float | None:
    """Seconds after which an upstream wants to be asked again, if it says a number of them."""
    said = headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 9 else None

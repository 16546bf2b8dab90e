"""Dead letters: requests that are not tried again, until somebody asks again."""

from mesh.protocol.numbers import Moment, Number
from mesh.protocol.questions import Refused
from mesh.protocol.request import Charge, Request, Turn
from mesh.protocol.wire import Wire


class Attempt(Wire, frozen=True, kw_only=True):
    """One claim on a request. at: Unix time; lost: the holder before it was gone without a word."""

    n: Number
    worker: str
    inc: str
    at: Moment
    lost: bool = False


class DeadLetter(Wire, frozen=True, kw_only=True, tag="dead_letter"):
    """A request that is not tried again, all that was asked with it, and its history.

    at: Unix time of its end; why: a sentence; text: what there was of the answer. note and
    charge: as it was queued.
    """

    request: Request
    turn: Turn | None = None
    at: float
    why: str
    text: str = ""
    attempts: tuple[Attempt, ...] = ()
    note: str = ""
    charge: Charge | None = None


class LetterGone(Wire, frozen=True, kw_only=True, tag="letter_gone"):
    """In the place of a dead letter that was dropped, or asked again under a new id."""

    asked_again_as: str = ""
    at: float


Letter = DeadLetter | LetterGone


class AskAgain(Wire, frozen=True, kw_only=True, tag="ask_again"):
    """Ask a gateway to queue a dead letter's request as a new one."""

    rid: str


class AskedAgain(Wire, frozen=True, kw_only=True, tag="asked_again"):
    """It was queued, under this id."""

    rid: str


AskAgainReply = AskedAgain | Refused

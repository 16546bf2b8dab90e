"""Workers' broker users, over the broker: what a gateway asks whoever keeps the broker's folder.

Passwords travel here; only gateways may ask, and only operators hear them.
"""

from mesh.protocol.questions import Refused
from mesh.protocol.wire import Wire


class Enrol(Wire, frozen=True, kw_only=True, tag="enrol"):
    """Make a worker a user of the broker, or give it another password. -> Enrolled"""

    name: str


class ListEnrolled(Wire, frozen=True, kw_only=True, tag="list_enrolled"):
    """-> EnrolledWorkers"""


class Expel(Wire, frozen=True, kw_only=True, tag="expel"):
    """Take a worker's user away, and end its connection. -> Expelled; not_found"""

    name: str


class Enrolled(Wire, frozen=True, kw_only=True, tag="enrolled"):
    """It may connect in a moment. certificate: to trust the broker by, "" if it speaks no TLS."""

    name: str
    password: str
    certificate: str = ""


class EnrolledWorkers(Wire, frozen=True, kw_only=True, tag="enrolled_workers"):
    """By name. elsewhere: those of them that were given to other machines; settled: whether the
    broker knows of all changes, which are answered before."""

    names: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    settled: bool = True


class Expelled(Wire, frozen=True, kw_only=True, tag="expelled"):
    """In a moment it may not connect any more."""


Enrolment = Enrol | ListEnrolled | Expel
EnrolmentReply = Enrolled | EnrolledWorkers | Expelled | Refused

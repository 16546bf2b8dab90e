"""What sync and async have in common in talking HTTP: requests, refusals, reasons. No I/O."""

import httpx

from mesh_client import calls
from mesh_client.config import IDLE_TIMEOUT
from mesh_client.errors import BadReply, Rejected, Unreachable, rejection
from mesh_client.events import Event, Reconnecting, Token
from mesh_client.following import StreamBroken
from mesh_client.retry import Backoff

LOST = (httpx.TransportError, StreamBroken, Unreachable)
"""What ends a connection but not what travels on it: try another."""

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""The request cannot have arrived, so that any request may be sent again."""


def request(http: httpx.Client | httpx.AsyncClient, call: calls.Call[calls.T]) -> httpx.Request:
    """A call as a request of this client."""
    return http.build_request(
        call.method,
        call.path,
        params=call.params or None,
        content=call.content,
        headers=call.headers,
    )


def stream_request(http: httpx.Client | httpx.AsyncClient, call: calls.StreamCall) -> httpx.Request:
    """A streaming call as a request; silence on it beyond the idle timeout is a loss."""
    return http.build_request(
        call.method,
        call.path,
        content=call.content,
        headers=call.headers,
        timeout=httpx.Timeout(10.0, read=IDLE_TIMEOUT),
    )


def is_stream(response: httpx.Response) -> bool:
    """Whether events follow; no, when there is nothing to follow any more (204).

    Raises BadReply when the body is something else than events.
    """
    if response.status_code == httpx.codes.NO_CONTENT:
        return False
    kind = response.headers.get("content-type", "")
    if not kind.startswith("text/event-stream"):
        raise BadReply(f"A stream of events was asked for, but {kind or 'nothing'} came.")
    return True


def refused(response: httpx.Response) -> Rejected:
    """The exception for a response of 400 or more whose body was read."""
    return rejection(response.status_code, response.headers, response.content)


def delay_after(
    call: calls.Call[calls.T], error: httpx.TransportError, backoff: Backoff, now: float, url: str
) -> float:
    """Seconds until a lost call is sent again; raises Unreachable when it is not to be."""
    again = call.repeatable or isinstance(error, UNSENT)
    delay = backoff.loss(now) if again else None
    if delay is None:
        raise Unreachable(url, reason(error)) from error
    return delay


def reconnecting(error: Exception, backoff: Backoff, now: float, url: str) -> Reconnecting:
    """What follows the loss of a stream; raises Unreachable when patience is at its end."""
    retry_after = error.retry_after if isinstance(error, Rejected) else None
    delay = backoff.loss(now, retry_after)
    if delay is None:
        raise Unreachable(url, reason(error)) from error
    return Reconnecting(backoff.attempt, delay, reason(error))


def note(event: Event, backoff: Backoff, now: float) -> None:
    """Count an event that arrived as a sign of life, and a token as progress."""
    backoff.heard(now)
    if isinstance(event, Token):
        backoff.progress()


def passes(error: Rejected) -> bool:
    """Whether a refusal of a running answer's stream is one that passes by itself."""
    return error.status in (429, 502, 503, 504)


def reason(error: Exception) -> str:
    """Why a connection was lost, in a few words for a person."""
    match error:
        case Unreachable():
            return "no gateway answers"
        case httpx.ConnectError():
            return "nothing listens there"
        case httpx.ConnectTimeout():
            return "no answer to the connection"
        case httpx.ReadTimeout():
            return "silence for too long"
        case httpx.TransportError():
            return "the connection was cut"
        case _:
            return str(error)

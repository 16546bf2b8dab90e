"""Holds outcomes of calls against the calls that there are: in the input, and before it. Pure."""

from collections.abc import Iterable

from mesh.gateway.openai.asked import bad
from mesh.gateway.openai.responses.body import ResponsesBody
from mesh.protocol.request import Message


def check_outcomes(body: ResponsesBody, before: Iterable[Message] = ()) -> None:
    """Raise MeshError (bad_request) for the outcome of a call that nobody has made before it.

    before: the conversation that a response follows. Models' templates need the call.
    """
    if isinstance(body.input, str):
        return
    called = {call.id for message in before for call in message.tool_calls}
    for at, item in enumerate(body.input):
        if item.type == "function_call":
            called.add(item.call_id or "")
        elif item.type == "function_call_output" and item.call_id not in called:
            detail = (
                f"There is no call {item.call_id!r} before this item; send the function_call that "
                "it is the outcome of, too, or the previous_response_id of the response that made "
                "it."
            )
            raise bad(f"input[{at}].call_id", detail)

"""What has to be the same under one idempotency key on OpenAI's routes: the route, the whole body.

All but how the answer is read, that is; `Asked.digest` knows of what the mesh is asked for only.
"""

from hashlib import sha256
from typing import Any

import msgspec

from mesh.gateway.body import decode_body
from mesh.gateway.errors import AnyRequest
from mesh.gateway.openai.responses.shapes import Note
from mesh.protocol.events import Queued

READING = ("stream", "stream_options")
"""Of a body what may differ: a stream that was cut can be fetched whole."""


async def whole_digest(request: AnyRequest) -> str:
    """SHA-256 in hex of the route and of its body, which is an object.

    `null` is the same as leaving a field out, and the order of fields says nothing.

    During a rollout gateways of two versions serve the same key. So this digest stands beside the
    older one (in the note, or in a field of its own), which all of them go on to write and to
    compare: an older gateway does not look at this one, and what it has accepted itself is
    without, and is compared by the older one alone (`keys.check_whole`). Whichever gateway a retry
    reaches, the same request is the same; only what differs in nothing else is let pass by an
    older gateway, or behind one, until it is gone and the log has forgotten.
    """
    body = decode_body(await request.body(), dict[str, Any])
    same = {name: said for name, said in body.items() if said is not None and name not in READING}
    told = request.url.path.encode() + b"\n" + msgspec.json.encode(same, order="sorted")
    return sha256(told).hexdigest()


def note_of(whole: str) -> str:
    """What a completion notes in the log: this digest, or nothing."""
    return msgspec.json.encode(whole).decode() if whole else ""


def noted_whole(queued: Queued | None) -> str:
    """The digest that the log has of a completion or a response; "" where an older gateway, or
    another route, has accepted it, or it had no key."""
    try:
        kept = msgspec.json.decode(queued.note if queued else "", type=Note | str)
    except msgspec.DecodeError:
        return ""
    return kept.whole if isinstance(kept, Note) else kept

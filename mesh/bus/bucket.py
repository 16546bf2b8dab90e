"""Reads a KV bucket as a whole: each key's last value."""

from mesh.bus.jetstream import JetStream


async def entries(js: JetStream, stream: str, subject: str) -> dict[str, bytes]:
    """The last value under each subject; what was taken away is an empty one. Raises BusError."""
    info = await js.stream_info(stream)
    batches = js.read(stream, subject, max(1, info.state.first_seq), info.state.last_seq)
    return {stored.subject: stored.data async for batch in batches for stored in batch}

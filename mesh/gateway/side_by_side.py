"""Several answers told to one client as one stream, as the choices of one completion are."""

import asyncio
import time
from collections.abc import Sequence

from mesh.gateway.stream import Stream


class SideBySide:
    """What a `Stream` is to whoever writes it; it ends with the last of its own, or the first that
    fails."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams

    @property
    def ended(self) -> bool:
        """Whether the last event was taken."""
        streams = self._streams
        return all(stream.ended for stream in streams) or any(stream.failed for stream in streams)

    def take(self, most: int) -> bytes:
        """What there is to write now, up to the first failure, of about `most` pieces in all."""
        data, going = b"", self._going()
        for stream in going:
            data += stream.take(max(1, most // len(going)))
            if stream.failed:
                break
        if data:  # which keeps those waiting that have said nothing, too
            now = time.monotonic()
            for stream in going:
                stream.writing = stream.written = now
        return data

    def seek(self) -> None:
        """As `Stream.seek`, for each."""
        for stream in self._going():
            stream.seek()

    async def changed(self) -> None:
        """Wait until there may be more to take of any."""
        changes = [stream.changed() for stream in self._going()]
        await asyncio.wait(changes, return_when=asyncio.FIRST_COMPLETED)

    def _going(self) -> list[Stream]:
        return [stream for stream in self._streams if not stream.ended]

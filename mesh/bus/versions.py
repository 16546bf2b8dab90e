"""Whether the log at this broker is of our protocol: two versions share a broker, but no streams.

Versions of the mesh that speak the same protocol get on with each other, message by message
(`mesh.protocol.wire`). Of another one we would hear nothing, and a gateway that declared its
streams would take them from those who use them.
"""

from mesh.bus.api import NO_STREAM, ApiError
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError


async def refuse_other_protocol(js: JetStream, who: str) -> None:
    """Raise MeshError (protocol_version) if the log is of another protocol than ours.

    who: what we are, for people. Raises BusError. Where there is no log yet, any is welcome.
    """
    try:
        info = await js.stream_info(subjects.RUN_STREAM)
    except ApiError as error:
        if error.code != NO_STREAM:
            raise
        return
    if subjects.RUN_ALL not in info.config.subjects:
        theirs = ", ".join(subject.partition(".")[0] for subject in info.config.subjects)
        raise MeshError(
            ErrorCode.PROTOCOL_VERSION,
            f"The mesh at this broker speaks protocol {theirs.removeprefix('m')}, this {who} "
            f"speaks protocol {subjects.VERSION}: upgrade the older of the two. A mesh changes its "
            "protocol as a whole, with its broker's streams empty.",
        )

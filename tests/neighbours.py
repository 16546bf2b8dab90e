"""The mesh as the version before speaks, or the one after: the same commands, other messages.

    python -m tests.neighbours older|newer|protocol=0 gateway ...

There is no other version to install in a clone without history, so this one is made to speak like
it. The older one knows of each message only what its first golden file shows: what was added since
it neither reads nor says; and it knows of no lanes. The newer one adds to every message what nobody
knows yet, and has one more step of the schema, if the environment names its folder
(MESH_TEST_MIGRATIONS).
"""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
PROTOCOL = Path(__file__).parents[1] / "mesh" / "protocol"

Change = Callable[[Any], Any]
"""A message as it stands in JSON, to one as another version has it."""


def older(message: Any) -> Any:
    """What the version before knows of a message."""
    path = GOLDEN / f"{message['type']}.json"
    return _like(message, json.loads(path.read_text())) if path.exists() else message


def newer(message: Any) -> Any:
    """A message with something new in every object that is a Struct, and in every entry."""
    if isinstance(message, dict):
        changed = {name: _newer_field(name, value) for name, value in message.items()}
        return changed | {"added_later": {"deeply": ["so"]}}
    if isinstance(message, list):
        return [newer(item) for item in message]
    return message


def _newer_field(name: str, value: Any) -> Any:
    match name:
        case "entries":  # arrays, each of which is a Struct
            return [[*entry, "added later"] for entry in value]
        case "logit_bias" | "meta_data":  # objects that are maps
            return value
    return newer(value)


def _like(value: Any, shape: Any) -> Any:
    """The part of a value that a golden one shows."""
    if isinstance(value, dict) and isinstance(shape, dict):
        return {name: _like(value[name], shape[name]) for name in value if name in shape}
    if isinstance(value, list) and isinstance(shape, list) and shape:
        return [_like(item, shape[0]) for item in value]
    return value


def speak(said: Change, heard: Change) -> None:
    """Change what this process says and hears. Before anything of the mesh is imported."""
    from mesh.protocol import codec

    def changed(data: bytes, change: Change) -> bytes:
        message = json.loads(data) if data.startswith(b"{") else None
        return json.dumps(change(message)).encode() if message and "type" in message else data

    encode = codec.encode
    codec.encode = lambda message: changed(encode(message), said)
    for name in [name for name in vars(codec) if name.startswith("decode")]:
        setattr(codec, name, _hearing(getattr(codec, name), lambda data: changed(data, heard)))


def _hearing(decode: Callable[..., Any], change: Callable[[bytes], bytes]) -> Callable[..., Any]:
    return lambda data, *kinds: decode(change(data), *kinds)


def know_no_lanes() -> None:
    """Be of the time when all prompts of a model waited in one line."""
    from mesh.bus import lanes
    from mesh.bus.turns import LINE
    from mesh.gateway.lanes import Lanes

    vars(lanes)["RANK"] = {LINE: 1}
    setattr(Lanes, "used", lambda self, model: False)  # noqa: B010  # a method of a class


def speak_protocol(version: int) -> None:
    """Be of another protocol altogether: every subject is spelled with its number."""
    source = (PROTOCOL / "subjects.py").read_text()
    source = re.sub(r"(?m)^VERSION = .*", f"VERSION = {version}", source)
    module = ModuleType("mesh.protocol.subjects")
    sys.modules[module.__name__] = module
    exec(compile(source, "subjects.py", "exec"), vars(module))
    import mesh.protocol

    vars(mesh.protocol)["subjects"] = module


def add_migrations(folder: str) -> None:
    """Have further steps of the schema."""
    from mesh.store import schema

    plain = schema._config

    def config(*connection: Any) -> Any:
        found = plain(*connection)
        own = Path(schema.__file__).parent / "migrations" / "versions"
        found.set_main_option("version_locations", os.pathsep.join([str(own), folder]))
        return found

    vars(schema)["_config"] = config


def main() -> None:
    """Be that version, and run its command."""
    version = sys.argv.pop(1)
    if version.startswith("protocol="):
        speak_protocol(int(version.partition("=")[2]))
    elif version == "older":
        speak(older, older)
        know_no_lanes()
    else:
        speak(newer, lambda message: message)
        if "MESH_TEST_MIGRATIONS" in os.environ:
            add_migrations(os.environ["MESH_TEST_MIGRATIONS"])
    from mesh.cli.main import main as run

    run()


if __name__ == "__main__":
    main()

"""Write a golden JSON file for every message that has none yet; never touch one that is there.

    python -m tools.golden

A message, or a field that was added to one, gets a new file `tests/golden/<tag>[.n].json` with
every field set. Within a protocol version these files are added, never edited: they are what
older processes still send.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, inspect

from mesh.protocol.catalogue import travelling

FOLDER = Path("tests/golden")


def tag_of(kind: type[Struct]) -> str:
    """The word by which a message is told from others."""
    return str(kind.__struct_config__.tag)


def files_of(kind: type[Struct], folder: Path = FOLDER) -> list[Path]:
    """The golden files of a message, oldest first."""
    tag = tag_of(kind)
    numbered = folder.glob(f"{tag}.[0-9]*.json")
    first = folder / f"{tag}.json"
    return [path for path in (first, *sorted(numbered)) if path.exists()]


def missing_fields(kind: type[Struct], folder: Path = FOLDER) -> set[str]:
    """The fields of a message, by their name on the wire, that no golden file shows."""
    shown = {
        name for path in files_of(kind, folder) for name in msgspec.json.decode(path.read_bytes())
    }
    return set(kind.__struct_encode_fields__) - shown


def sample(kind: inspect.Type, name: str, default: object = None) -> Any:
    """A value of this type, as it stands in JSON, that is not the default, which is left out."""
    match kind:
        case inspect.StructType():
            values = {f.encode_name: sample(f.type, f.encode_name, f.default) for f in kind.fields}
            tagged = {kind.tag_field: kind.tag} if kind.tag_field else {}
            return list(values.values()) if kind.array_like else tagged | values
        case inspect.UnionType():
            return sample(kind.types[isinstance(kind.types[0], inspect.NoneType)], name)
        case inspect.ListType() | inspect.VarTupleType():
            return [sample(kind.item_type, name)]
        case inspect.TupleType():
            return [sample(item, name) for item in kind.item_types]
        case inspect.DictType():
            return {sample(kind.key_type, name): sample(kind.value_type, name)}
        case inspect.LiteralType():
            return next(value for value in reversed(kind.values) if value != default)
        case inspect.EnumType():
            return next(iter(kind.cls)).value
        case inspect.BoolType():
            return not default
        case inspect.IntType():
            return 3
        case inspect.FloatType():
            return 1.5
        case inspect.StrType():
            return f"some {name}"
        case inspect.BytesType():
            return "AACAPw=="  # the base64 of some bytes
    raise TypeError(f"{name}: no sample of {kind}")


def write(kind: type[Struct], folder: Path = FOLDER) -> Path:
    """Write the next golden file of a message."""
    count = len(files_of(kind, folder))
    path = folder / (f"{tag_of(kind)}.{count + 1}.json" if count else f"{tag_of(kind)}.json")
    message = msgspec.convert(sample(inspect.type_info(kind), path.stem), kind)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(message)) + b"\n")
    return path


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for kind in travelling():
        if missing_fields(kind) or not files_of(kind):
            sys.stdout.write(f"wrote {write(kind)}\n")


if __name__ == "__main__":
    main()

"""Reads what a model's folder says of itself: sizes, tokens, chat template. Loads no weights.

The layout is that of the Hugging Face hub: config.json, tokenizer.json and safetensors files, the
weights being EXL2, GPTQ or 16 and 32 bit floats.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from mesh.protocol.errors import ErrorCode, MeshError

T = TypeVar("T", bound=Struct)

END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|end_of_turn|>", "<end_of_turn>", "<|end|>")
"""Special tokens that end an answer whatever the configuration calls its end of text."""

QUANTIZED = ("exl2", "gptq")

_CHUNKS, _CHUNK = 64, 1 << 16
_LARGEST_HEADER = 100 << 20
"""Bytes of a safetensors header at most, as its own library has it."""


class Named(Struct):
    """A token, or one of several chat templates, given with more than its text."""

    content: str = ""
    name: str = ""
    template: str = ""


class RopeParameters(Struct):
    """Where transformers 5 writes the rotary base."""

    rope_theta: float | None = None
    rope_type: str = "default"


class Quantization(Struct):
    quant_method: str = ""
    bits: float = 0.0


class _Sizes(Struct):
    """What a model of language alone has at the top of config.json, others under text_config."""

    vocab_size: int = 0
    hidden_size: int = 0
    intermediate_size: int | None = None
    num_hidden_layers: int = 0
    num_attention_heads: int = 0
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 0
    rope_theta: float | None = None
    rope_parameters: RopeParameters | None = None


class ModelConfig(_Sizes, kw_only=True):
    """config.json, as far as the engine looks into it itself."""

    architectures: list[str] = []
    eos_token_id: int | list[int] | None = None
    bos_token_id: int | None = None
    text_config: _Sizes | None = None
    quantization_config: Quantization | None = None

    @property
    def sizes(self) -> _Sizes:
        return self if self.hidden_size or self.text_config is None else self.text_config


class _GenerationConfig(Struct):
    eos_token_id: int | list[int] | None = None


class _TokenizerConfig(Struct):
    chat_template: str | list[Named] | None = None
    bos_token: str | Named | None = None
    eos_token: str | Named | None = None
    add_bos_token: bool = False


class _AddedToken(Struct):
    id: int
    content: str
    special: bool = False


class _TokenizerFile(Struct):
    added_tokens: list[_AddedToken] = []


class _TensorIndex(Struct):
    weight_map: dict[str, str] = field(default_factory=dict)


class ModelFolder(Struct, frozen=True, kw_only=True):
    """context: tokens it was trained for; weights: bytes of all tensors; end_ids: the tokens that
    end an answer; special_ids: those without a text."""

    path: Path
    config: ModelConfig
    context: int
    weights: int
    chat_template: str | None
    bos_token: str
    eos_token: str
    add_bos: bool
    end_ids: frozenset[int]
    special_ids: frozenset[int]
    fingerprint: str

    @property
    def form(self) -> str:
        """What the weights are, for people: `EXL2 4.0 bits`, `GPTQ 4.0 bits`, `16 bits`."""
        quantized = self.config.quantization_config
        if quantized is None:
            return "16 bits"
        return f"{quantized.quant_method.upper()} {quantized.bits} bits"


def read_folder(path: Path) -> ModelFolder:
    """Raises MeshError (bad_request), naming the file at fault and what to do about it."""
    if not path.is_dir():
        raise _bad(f"{path} is not a folder; give the folder that has config.json in it.")
    config = _read(path / "config.json", ModelConfig, "a model's folder has one")
    _check(path, config)
    files = _weight_files(path)
    tokens = _read(
        path / "tokenizer.json",
        _TokenizerFile,
        "ExLlamaV2 reads no other form; save the tokenizer with transformers to get it",
    ).added_tokens
    named = _read_if_there(path / "tokenizer_config.json", _TokenizerConfig)
    eos = _token(named.eos_token, config.eos_token_id, tokens)
    return ModelFolder(
        path=path,
        config=config,
        context=config.sizes.max_position_embeddings,
        weights=sum(_weight_bytes(file) for file in files),
        chat_template=_chat_template(path, named),
        bos_token=_token(named.bos_token, config.bos_token_id, tokens),
        eos_token=eos,
        add_bos=named.add_bos_token,
        end_ids=_end_ids(path, config, tokens, eos),
        special_ids=frozenset(token.id for token in tokens if token.special),
        fingerprint=fingerprint([path / "config.json", path / "tokenizer.json", *files]),
    )


def _check(path: Path, config: ModelConfig) -> None:
    if len(config.architectures) != 1:
        raise _bad(
            f"{path / 'config.json'} names {len(config.architectures)} architectures; ExLlamaV2"
            " needs exactly one."
        )
    quantized = config.quantization_config
    if quantized is not None and quantized.quant_method not in QUANTIZED:
        raise _bad(
            f"{path} is quantised as {quantized.quant_method or 'it does not say'}; ExLlamaV2 reads"
            " EXL2, GPTQ and 16 or 32 bits."
        )
    rope = config.sizes.rope_parameters
    if config.sizes.rope_theta is None and rope is not None and rope.rope_type != "default":
        raise _bad(
            f"{path / 'config.json'} has its {rope.rope_type} scaling under rope_parameters, where"
            " ExLlamaV2 does not look; write it as rope_theta and rope_scaling, as transformers 4"
            " did."
        )


def _weight_files(path: Path) -> list[Path]:
    """The safetensors files, all of those that the index names, if there is one."""
    files = sorted(path.glob("*.safetensors"))
    index = path / "model.safetensors.index.json"
    if index.is_file():
        named = set(_read(index, _TensorIndex, "").weight_map.values())
        missing = sorted(named - {file.name for file in files})
        if missing:
            raise _bad(f"{path} lacks {', '.join(missing)}; download the model again.")
    if not files:
        raise _bad(f"{path} has no safetensors file; ExLlamaV2 reads weights in that form only.")
    return files


def _weight_bytes(file: Path) -> int:
    """Bytes of the file's tensors. Raises MeshError when the file is not whole."""
    try:
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            if size > _LARGEST_HEADER:
                raise ValueError("its header is too long")
            header = json.loads(stream.read(size))
        ends = [int(each["data_offsets"][1]) for name, each in header.items() if name[:2] != "__"]
    except OSError as error:
        raise _bad(f"{file} cannot be read: {error.strerror}.") from error
    except (
        struct.error,
        ArithmeticError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:
        raise _bad(f"{file} is not a safetensors file, or only a part of one: {error}.") from error
    except RecursionError as error:
        raise _bad(f"{file} is not a safetensors file: its header is nested too deep.") from error
    data = max(ends, default=0)
    if file.stat().st_size != 8 + size + data:
        raise _bad(f"{file} is not whole, or has too much in it; download it again.")
    return data


def _chat_template(path: Path, named: _TokenizerConfig) -> str | None:
    """The model's own template: of the file for it, else of tokenizer_config.json."""
    file = path / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise _bad(f"{file} is not what it should be; download it again: {error}.") from error
    template = named.chat_template
    if isinstance(template, list):
        return next((one.template for one in template if one.name == "default"), None)
    return template


def _token(
    named: str | Named | None, ids: int | list[int] | None, tokens: list[_AddedToken]
) -> str:
    """The text of a token that is given by its text, else by its id, else ""."""
    if named:
        return named if isinstance(named, str) else named.content
    wanted = ids[:1] if isinstance(ids, list) else [ids]
    return next((token.content for token in tokens if token.id in wanted), "")


def _end_ids(
    path: Path, config: ModelConfig, tokens: list[_AddedToken], eos: str
) -> frozenset[int]:
    generation = _read_if_there(path / "generation_config.json", _GenerationConfig)
    ends = [token.id for token in tokens if token.special and token.content in (*END_OF_TURN, eos)]
    for given in (config.eos_token_id, generation.eos_token_id):
        ends += [given] if isinstance(given, int) else given or []
    return frozenset(end for end in ends if 0 <= end < config.sizes.vocab_size)


def fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 of each file's size and of 64 pieces of 64 KiB spread over it: enough to tell two
    trainings apart, without reading tens of gigabytes at every start."""
    digest = sha256()
    for file in files:
        for piece in _pieces(file):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    yield size.to_bytes(8, "little")
    with file.open("rb") as stream:
        for number in range(_CHUNKS):
            stream.seek(max(0, (size - _CHUNK) * number // (_CHUNKS - 1)))
            yield stream.read(_CHUNK)
            if size <= _CHUNK:
                return


def _read(file: Path, kind: type[T], advice: str) -> T:
    if not file.is_file():
        raise _bad(f"{file} is missing: {advice}.")
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except OSError as error:
        raise _bad(f"{file} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _bad(f"{file} is not what it should be; download it again: {error}.") from error


def _read_if_there(file: Path, kind: type[T]) -> T:
    return _read(file, kind, "") if file.is_file() else kind()


def _bad(detail: str) -> MeshError:
    return MeshError(ErrorCode.BAD_REQUEST, detail)

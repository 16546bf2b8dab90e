"""Parameters that change nothing are read all the same: a value of a wrong type is refused."""

from typing import Any

import msgspec
import pytest

from mesh.gateway.openai import parameters
from mesh.gateway.openai.parameters import CHAT, EMBEDDINGS, RESPONSES, TEXT, Table, Treatment
from mesh.gateway.openai.responses import body as responses_body
from mesh.protocol.errors import ErrorCode, MeshError

PAIRS = {f"key {at}": "value" for at in range(16)}

WRONG: list[tuple[Table, str, Any, str]] = [
    *((table, "user", 5, "user") for table in (CHAT, TEXT, RESPONSES, EMBEDDINGS)),
    *(
        (table, name, value, param)
        for table in (CHAT, RESPONSES)
        for name, value, param in (
            ("safety_identifier", [1], "safety_identifier"),
            ("service_tier", "zzz", "service_tier"),
            ("prompt_cache_key", 5, "prompt_cache_key"),
            ("safety_identifier", "i" * 65, "safety_identifier"),
            ("prompt_cache_options", "x", "prompt_cache_options"),
            ("prompt_cache_options", {"mode": "both"}, "prompt_cache_options.mode"),
            ("prompt_cache_options", {"ttl": 30}, "prompt_cache_options.ttl"),
            ("prompt_cache_options", {"size": 1}, "prompt_cache_options.size"),
            ("prompt_cache_retention", "for ever", "prompt_cache_retention"),
        )
    ),
    (CHAT, "service_tier", "ultrafast", "service_tier"),
    (CHAT, "metadata", 5, "metadata"),
    (CHAT, "metadata", {"a": 5}, "metadata[...]"),
    (CHAT, "store", "yes", "store"),
    (RESPONSES, "stream_options", 5, "stream_options"),
    (RESPONSES, "stream_options", {"include_usage": True}, "stream_options.include_usage"),
]

RIGHT: dict[str, list[Any]] = {
    "user": ["ada"],
    "safety_identifier": ["ada", "i" * 64],
    "metadata": [{}, PAIRS, {"k" * 64: "v" * 512}],
    "store": [True, False],
    "service_tier": ["auto", "default", "flex", "scale", "priority", "fast"],
    "prompt_cache_key": ["x"],
    "prompt_cache_options": [{}, {"mode": "explicit", "ttl": "30m"}, {"mode": "implicit"}],
    "prompt_cache_retention": ["24h", "in_memory", "in-memory"],
    "stream_options": [{}, {"include_obfuscation": False}],
}


@pytest.mark.parametrize(("table", "name", "value", "param"), WRONG)
def test_a_wrong_type_is_refused_by_name(table: Table, name: str, value: Any, param: str) -> None:
    with pytest.raises(MeshError) as refused:
        parameters.check(msgspec.json.encode({"model": "x", name: value}), table)
    assert (refused.value.code, refused.value.param) == (ErrorCode.BAD_REQUEST, param)


@pytest.mark.parametrize("table", [CHAT, TEXT, RESPONSES, EMBEDDINGS])
def test_the_right_types_are_taken(table: Table) -> None:
    for name, known in table.items():
        if known.treatment is Treatment.IGNORED:
            for value in [None, *RIGHT[name]]:
                parameters.check(msgspec.json.encode({name: value}), table)


def test_responses_know_a_tier_more() -> None:
    parameters.check(msgspec.json.encode({"service_tier": "ultrafast"}), RESPONSES)


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        (PAIRS | {"one more": "value"}, "metadata"),
        ({"k" * 65: "v"}, "metadata"),
        ({"k": "v" * 513}, "metadata[...]"),
        ({"k": 5}, "metadata[...]"),
    ],
)
def test_what_is_noted_of_a_response_has_openais_bounds(metadata: Any, param: str) -> None:
    data = msgspec.json.encode({"input": "hello", "metadata": metadata})
    with pytest.raises(MeshError) as refused:
        responses_body.read(data)
    assert (refused.value.code, refused.value.param) == (ErrorCode.BAD_REQUEST, param)
    whole = {"input": "hello", "metadata": PAIRS | {"key 0": "v" * 512}}
    assert responses_body.read(msgspec.json.encode(whole))[0].metadata == whole["metadata"]

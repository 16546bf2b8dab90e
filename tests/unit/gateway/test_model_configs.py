"""Presets as a model can hold them, and what the gateway says of its models."""

from mesh.gateway.model_configs import description, presets
from mesh.gateway.presets import PRESETS
from mesh.gateway.views import model_config_read
from mesh.protocol.worker_info import ModelCard


def card(context_length: int, engine: str = "llamacpp") -> ModelCard:
    return ModelCard(name="tiny", fingerprint="f", engine=engine, context_length=context_length)


def test_no_preset_asks_for_more_than_the_context_holds() -> None:
    found = {preset.sampling_parameters.max_new_tokens for preset in presets(card(512))}
    assert found == {511}
    assert presets(card(8192)) == presets(None) == PRESETS
    assert presets(card(0, "openai")) == PRESETS, "how much it holds, nobody knows"


def test_a_model_is_described_by_its_engine_and_context() -> None:
    assert description(card(8192)) == "llamacpp, 8,192 tokens of context."
    assert description(card(512, "echo")) == "No model, for tests: echo, 512 tokens of context."
    assert description(card(0, "openai")) == "openai."
    unknown = model_config_read("tiny", card(0, "openai"))
    assert (unknown.max_input_length, unknown.max_total_length) == (None, None)
    assert description(None) == "Nobody serves it now."

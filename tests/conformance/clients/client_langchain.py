"""LangChain: its own standard tests of chat models and of embeddings, on texts."""

import os
from typing import Any

from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

CLIENT, SHOWS = "langchain-tests", "LangChain's standard tests"

URL = os.environ.get("CONFORMANCE_URL", "http://127.0.0.1:8000") + "/v1"


class TestChat(ChatModelIntegrationTests):  # type: ignore[misc]
    """On `/v1/chat/completions`."""

    @property
    def chat_model_class(self) -> Any:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "scripted", "base_url": URL, "api_key": "guest", "stream_usage": True}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "echo"


class TestResponses(TestChat):
    """The same on `/v1/responses`."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "use_responses_api": True}


class TestEmbeddings(EmbeddingsIntegrationTests):  # type: ignore[misc]
    """On `/v1/embeddings`."""

    @property
    def embeddings_class(self) -> Any:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {
            "model": "tiny",
            "base_url": URL,
            "api_key": "guest",
            "check_embedding_ctx_length": False,  # else it would send the ids of another tokenizer
        }

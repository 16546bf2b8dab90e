"""Reads the body of `POST /v1/completions` into what the mesh is asked for. Pure."""

from typing import Annotated

from msgspec import Meta

from mesh.gateway.body import decode_body
from mesh.gateway.openai import parameters
from mesh.gateway.openai.asked import (
    Asked,
    SamplingBody,
    bad,
    check_count,
    includes_usage,
    sampling,
)
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.request import Message

Texts = Annotated[list[str], Meta(min_length=1)]


class CompletionBody(SamplingBody, kw_only=True):
    """What `POST /v1/completions` takes; `null` is the same as leaving a field out."""

    prompt: str | Texts
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None


def read(data: bytes) -> Asked:
    """Raises MeshError (bad_request, unsupported, empty_prompt), naming the parameter at fault."""
    parameters.check(data, parameters.TEXT)
    body = decode_body(data, CompletionBody)
    include_usage = includes_usage(body)
    texts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if not all(texts):
        raise MeshError(ErrorCode.EMPTY_PROMPT, param="prompt")
    if body.echo and body.logprobs is not None:
        raise bad("echo", "The prompt's own probabilities are not known; leave echo out.")
    return check_count(
        Asked(
            model=body.model,
            prompts=tuple((Message(role="user", content=text),) for text in texts),
            n=body.n or 1,
            raw=True,
            echo=bool(body.echo),
            sampling=sampling(body, body.logprobs),
            max_tokens=body.max_tokens,
            stream=bool(body.stream),
            include_usage=include_usage,
        )
    )

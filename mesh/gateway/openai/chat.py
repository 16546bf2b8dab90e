"""`POST /v1/chat/completions`: the mesh for whoever speaks OpenAI's API."""

from functools import partial
from typing import Literal

from litestar import Response, post

from mesh.gateway.errors import AnyRequest, OpenAIError
from mesh.gateway.headers import REPEATABLE, RESUMABLE
from mesh.gateway.openai import chat_body
from mesh.gateway.openai.chat_body import ChatCompletionBody
from mesh.gateway.openai.exchange import exchange
from mesh.gateway.openai.shapes import Completion, Head
from mesh.gateway.services import Wired


@post(
    "/v1/chat/completions",
    status_code=200,
    body=ChatCompletionBody,
    reply=Completion,
    events=(Head, OpenAIError, Literal["[DONE]"]),
    headers=REPEATABLE | RESUMABLE,
)
async def chat_completions(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Answer a conversation, as one object or as Server-Sent Events."""
    principal = services.doorman.principal(request)
    data = await request.body()
    read = partial(chat_body.read, data)
    asked = await services.aside.read(principal.user_id, data, read)
    return await exchange(services, request, principal, asked)

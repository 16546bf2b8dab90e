"""`POST /v1/completions`: goes on with a text as it stands, without a chat template."""

from typing import Literal

from litestar import Response, post

from mesh.gateway.errors import AnyRequest, OpenAIError
from mesh.gateway.headers import REPEATABLE, RESUMABLE
from mesh.gateway.openai import text_body
from mesh.gateway.openai.exchange import exchange
from mesh.gateway.openai.shapes import Head, TextCompletion
from mesh.gateway.openai.text_body import CompletionBody
from mesh.gateway.services import Wired


@post(
    "/v1/completions",
    status_code=200,
    body=CompletionBody,
    reply=TextCompletion,
    events=(Head, OpenAIError, Literal["[DONE]"]),
    headers=REPEATABLE | RESUMABLE,
)
async def completions(request: AnyRequest, services: Wired) -> Response[bytes]:
    """Go on with texts, as one object or as Server-Sent Events."""
    principal = services.doorman.principal(request)
    return await exchange(services, request, principal, text_body.read(await request.body()))

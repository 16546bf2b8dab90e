"""The table of routes."""

from litestar.types import ControllerRouterHandler

from mesh.gateway.generate import generate
from mesh.gateway.health import health, workers
from mesh.gateway.openai.chat import chat_completions
from mesh.gateway.openai.models import get_model, list_models

ROUTES: list[ControllerRouterHandler] = [
    generate,
    health,
    workers,
    list_models,
    get_model,
    chat_completions,
]

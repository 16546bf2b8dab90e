"""The table of routes."""

from litestar.types import ControllerRouterHandler

from mesh.gateway.generate import generate
from mesh.gateway.health import health, workers

ROUTES: list[ControllerRouterHandler] = [generate, health, workers]

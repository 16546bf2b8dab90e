"""Tools that a model is offered and runs that call them, as tests do it again and again."""

import asyncio
from typing import Any

import httpx

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock"}}
CALL = '/call get_weather {"city": "Oslo"}'
"""What makes the echo engine call the first of them."""


async def settled(http: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    """How a run stands once it goes on by itself no more."""
    async with asyncio.timeout(30):
        while True:
            response = await http.get(f"/v1/runs/{run_id}", params={"wait": 10})
            run: dict[str, Any] = response.raise_for_status().json()
            if run["status"] not in ("queued", "in_progress"):
                return run

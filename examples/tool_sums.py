"""A tool service: reckons for models, which are bad at it. Two tools, one of them a coroutine.

mesh join sums --tools add,average       # prints the environment to start this with
"""

from statistics import fmean

from mesh_client.tools import ToolService

service = ToolService.from_env()


@service.tool
def add(numbers: list[float]) -> float:
    """The sum of some numbers."""
    return sum(numbers)


@service.tool
async def average(numbers: list[float]) -> dict[str, float]:
    """Their average; of none there is none, and the model is told so by the error."""
    return {"average": fmean(numbers)}


if __name__ == "__main__":
    service.run()

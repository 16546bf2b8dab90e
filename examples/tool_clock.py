"""A tool service: tells models what time it is.

mesh join clock --tools clock       # prints the environment to start this with
"""

from datetime import datetime

from mesh_client.tools import ToolService

service = ToolService.from_env()


@service.tool
def clock() -> str:
    """The time, as the model is told."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


if __name__ == "__main__":
    service.run()

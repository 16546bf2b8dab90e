"""Why a worker process ends other than by being asked to stop while it serves."""


class Interrupted(Exception):
    """It was asked to stop while a thread still loads the model: nothing was begun yet."""


class Drained(Exception):
    """The worker left because it was told to: whoever keeps it running should not start it."""


class Stuck(Exception):
    """The engine makes no step any more, and cannot be trusted to close either. ordered: the worker
    was told to leave besides."""

    def __init__(self, why: str, ordered: bool) -> None:
        super().__init__(why)
        self.ordered = ordered

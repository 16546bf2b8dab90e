"""What is said to whoever asks for more than a limit lets in: for now, or for good. Pure."""

from mesh.protocol.errors import ErrorCode, MeshError


def beyond(
    what: str, whose: str, wait: float, limit: int, there: int = 0, more: int = 1
) -> MeshError:
    """there: how many there are of the limit, which is not enough for `more` at once."""
    if more == 1 and there > limit:  # what ended last had more than was left
        detail = f"{there:,} {what} {whose}, and the limit is {limit:,}; try again later."
    elif more == 1:
        detail = f"{limit:,} {what} {whose}, which is the limit; try again later."
    else:
        detail = f"{there:,} of {limit:,} {what} {whose}, so {more} more are too many"
        detail += "; try again later."
    return MeshError(ErrorCode.RATE_LIMITED, detail, retry_after=wait)


def check_ever(limit: int, more: int, what: str, param: str | None) -> None:
    """Raise MeshError (bad_request) for more at once than a limit will ever let in.

    param: the parameter that asks for so many.
    """
    if more > limit:
        detail = f"No more than {limit:,} {what}, so {more} can never be; ask for fewer."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=param)

"""`Retry-After`: who comes back when it says is not too early."""

import pytest

from mesh.gateway.errors import retry_headers
from mesh.protocol.errors import ErrorCode, MeshError


@pytest.mark.parametrize(("after", "said"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (2.4, "3")])
def test_the_time_to_wait_is_rounded_up(after: float, said: str) -> None:
    error = MeshError(ErrorCode.RATE_LIMITED, retry_after=after)
    assert retry_headers(error) == {"Retry-After": said}


def test_without_a_time_nothing_is_said() -> None:
    assert retry_headers(MeshError(ErrorCode.RATE_LIMITED)) == {}

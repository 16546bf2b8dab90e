"""The names and passwords in addresses are told nobody."""

import logging

import httpx
import pytest

from mesh.cli.log_lines import Json, Plain
from mesh.gateway.traces import telling
from mesh.gateway.traces.telling import Traces
from mesh.protocol.hidden import without_userinfo
from mesh.protocol.trace_context import NO_TRACE
from mesh_client.config import clean_url
from mesh_client.errors import BadAddress, Unreachable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:SECRET@host:4318/v1", "http://***@host:4318/v1"),
        ("nats://SECRET@a:4222,tls://u:SECRET@b:4222", "nats://***@a:4222,tls://***@b:4222"),
        ("u:SECRET@a:4222", "***@a:4222"),
        (
            "'404' for url 'http://u:S@ECRET@[::1]/x?a@b'.",
            "'404' for url 'http://***@[::1]/x?a@b'.",
        ),
        ("http://host/people/@ada", "http://host/people/@ada"),
        ("ada@example.org, eve@example.org", "ada@example.org, eve@example.org"),
    ],
)
def test_the_host_stays(text: str, shown: str) -> None:
    assert without_userinfo(text) == shown


@pytest.mark.parametrize("format", [Plain(), Json("gateway")])
async def test_a_collector_that_refuses_is_logged_without_its_password(
    format: logging.Formatter, caplog: pytest.LogCaptureFixture
) -> None:
    traces = Traces("http://u:SECRET@collector.invalid", "g1")
    traces.http("r1", "GET", "/v1/models", 200, traces.clock(), NO_TRACE, NO_TRACE)
    refusing = httpx.MockTransport(lambda request: httpx.Response(403))
    async with httpx.AsyncClient(transport=refusing) as http:
        await traces._send(http)
    [record] = [each for each in caplog.records if each.name == telling.__name__]
    said = format.format(record)
    assert "SECRET" not in said and "collector.invalid" in said


def test_a_trace_of_a_failure_is_logged_without_it() -> None:
    try:
        raise ValueError("http://u:SECRET@host")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("mesh", logging.ERROR, "", 0, "Failed", None, info)
    for format in (Plain(), Json("gateway")):
        assert "***@host" in format.format(record) and "SECRET@" not in format.format(record)


def test_an_error_of_the_client_tells_the_host_alone() -> None:
    said = Unreachable("http://u:SECRET@host", "nothing listens there")
    assert "SECRET" not in str(said) + said.sentence and "host" in str(said)
    with pytest.raises(BadAddress) as wrong:
        clean_url("ftp://u:SECRET@host")
    assert "SECRET" not in str(wrong.value)

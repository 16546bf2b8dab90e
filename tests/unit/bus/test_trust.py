"""Whom a process trusts as its broker, and whom it tells nothing."""

import ssl
from pathlib import Path

import pytest

from mesh.bus.trust import INLINE, is_loopback, tls_context, written_out
from mesh.cli.certificate import new_pair
from mesh.protocol.errors import ErrorCode, MeshError

PEM = new_pair().certificate.decode()


@pytest.mark.parametrize(
    "server", ["nats://127.0.0.1:4222", "127.0.0.2:1", "nats://localhost", "nats://[::1]:4222"]
)
def test_on_this_machine_no_tls_is_needed(server: str) -> None:
    assert tls_context([server], "") is None


@pytest.mark.parametrize(
    "server", ["nats://192.0.2.2:4222", "192.0.2.2", "nats://broker:4222", "nats://[2001:db8::1]:1"]
)
def test_another_machine_without_tls_is_refused(server: str) -> None:
    with pytest.raises(MeshError, match="without TLS everybody on the way") as refused:
        tls_context(["nats://127.0.0.1:4222", server], "")
    assert refused.value.code is ErrorCode.FORBIDDEN


def test_a_certificate_written_out_is_the_only_one_and_needs_no_name() -> None:
    context = tls_context(["tls://192.0.2.2:4222"], written_out(PEM))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.check_hostname
    assert context.cert_store_stats()["x509"] == 1


def test_a_certificate_in_a_file_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    file.write_text(PEM)
    context = tls_context(["nats://192.0.2.2:4222"], str(file))
    assert context is not None and context.verify_mode is ssl.CERT_REQUIRED


def test_of_the_system_s_authorities_the_name_is_checked() -> None:
    context = tls_context(["tls://broker.example.org:4222"], "")
    assert context is not None
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("ca", [INLINE, f"{INLINE}MIIB", f"{INLINE}%%%", "/nowhere/cert.pem"])
def test_what_is_no_certificate_is_said_to_be_none(ca: str) -> None:
    with pytest.raises(MeshError, match="copy that line anew") as refused:
        tls_context(["tls://192.0.2.2:4222"], ca)
    assert refused.value.code is ErrorCode.BAD_REQUEST


def test_a_certificate_fits_into_a_line() -> None:
    assert len(written_out(PEM)) < 600


def test_listening_everywhere_is_beyond_loopback() -> None:
    assert not is_loopback("0.0.0.0") and not is_loopback("::")
    assert is_loopback("127.0.0.9") and is_loopback("::1")

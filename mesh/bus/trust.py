"""Whom a process trusts as its broker, and that it tells no password to anybody else.

The certificate that `mesh up` makes for itself is no authority: it is the only one accepted then,
under whatever name the broker is reached. Of an authority's certificate the name is checked, too.
"""

import binascii
import ipaddress
import logging
import ssl
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import urlsplit

from mesh.protocol.errors import ErrorCode, MeshError

INLINE = "cert:"
"""How a certificate begins that is written out: DER in base64url."""


def tls_context(servers: list[str], ca: str) -> ssl.SSLContext | None:
    """How to speak TLS with these brokers; None: not at all, because none is on another machine.

    ca: a PEM file or a certificate written out; "": the system's authorities, for tls:// addresses.
    Raises MeshError (forbidden) for a broker on another machine that would hear everything in the
    clear, (bad_request) for a certificate that is none.
    """
    if not ca and not any(urlsplit(server).scheme == "tls" for server in servers):
        for server in servers:
            _refuse_elsewhere(server)
        return None
    logging.getLogger("asyncio").addFilter(_NOT_ABOUT_EOF)
    if not ca:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, ca)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = context.cert_store_stats()["x509_ca"] > 0
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _NotAboutEof(logging.Filter):
    """Drops what asyncio says whenever an upgraded connection ends: nats-py upgrades it so."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "eof_received()" not in record.getMessage()


_NOT_ABOUT_EOF = _NotAboutEof()


def written_out(pem: str) -> str:
    """A certificate as one word, for a command line."""
    der = ssl.PEM_cert_to_DER_cert(pem)
    return INLINE + urlsafe_b64encode(der).decode().rstrip("=")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def distrusted(servers: list[str], error: ssl.SSLError) -> MeshError:
    """What to tell of a broker that TLS could not be agreed on with."""
    where = ", ".join(servers)
    if isinstance(error, ssl.SSLCertVerificationError):
        return MeshError(
            ErrorCode.FORBIDDEN,
            f"What answers at {where} shows another certificate than the one to trust "
            f"({error.verify_message}); it was told nothing. Was the mesh's data folder replaced? "
            "Then type the line that `mesh join` prints now. Else somebody stands in between.",
        )
    return MeshError(
        ErrorCode.FORBIDDEN,
        f"What answers at {where} does not speak TLS as it should ({error.reason}); it was told "
        "nothing. Let the broker listen beyond its machine with MESH_NATS_HOST, which switches TLS "
        "on, and type the line that `mesh join` prints then.",
    )


def _refuse_elsewhere(server: str) -> None:
    host = urlsplit(server if "://" in server else f"nats://{server}").hostname or ""
    if not is_loopback(host):
        raise MeshError(
            ErrorCode.FORBIDDEN,
            f"The broker at {server} is on another machine, and without TLS everybody on the way "
            "would read the password and all that is said: type the line that `mesh join` prints "
            "there, with MESH_NATS_CA in it.",
        )


def _load(context: ssl.SSLContext, ca: str) -> None:
    try:
        if ca.startswith(INLINE):
            text = ca.removeprefix(INLINE)
            context.load_verify_locations(cadata=urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        else:
            context.load_verify_locations(cafile=Path(ca).expanduser())
    except (ssl.SSLError, binascii.Error, OSError, ValueError) as error:
        raise MeshError(
            ErrorCode.BAD_REQUEST,
            "MESH_NATS_CA is neither a file with certificates in PEM form nor what `mesh join` "
            "printed: copy that line anew, the whole of it.",
        ) from error

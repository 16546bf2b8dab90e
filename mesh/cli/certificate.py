"""The broker's certificate: made once per data folder, when the broker is to be reached by others.

Self-signed and no authority: whoever is given it trusts this one key and nobody else.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mesh.protocol.errors import ErrorCode, MeshError

LASTS = timedelta(days=3650)
SKEW = timedelta(days=1)
"""How far behind another machine's clock may be."""


class Pair(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


class TlsFiles(NamedTuple):
    """Where they are kept; the key only its owner may read."""

    certificate: Path
    key: Path

    def there(self) -> bool:
        return self.certificate.is_file() and self.key.is_file()


def new_pair() -> Pair:
    """A new key (P-256), and a certificate for it. Raises MeshError (unsupported) without the
    package that makes them."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as error:
        raise MeshError(
            ErrorCode.UNSUPPORTED,
            "A broker that others reach needs a certificate, and the package that makes one is "
            "missing: pip install 'inference-mesh[up]'.",
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mesh broker")])
    now = datetime.now(UTC)
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )

"""
The simulator's self-signed certificate, as a PBX ships one.

It is its own authority (CA:true), so that clients may either trust `cert.pem` as a CA file or pin its
fingerprint. It is kept and reused: a restart must not look like a stranger to a client that pinned it.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ALWAYS_NAMED = ("127.0.0.1", "::1", "localhost")
# Long enough that nobody renews a test certificate, short enough for clients that dislike decades.
LIFE = timedelta(days=3650)
# A certificate that ends within a day is replaced at start rather than failing in the middle of a run.
MARGIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    A certificate on disk.

    Attributes:
        cert_file: PEM; also the `ca_file` for clients.
        key_file: PEM, mode 600.
        fingerprint: `sha256:` and 64 lower-case hex digits over the DER form.
    """

    cert_file: Path
    key_file: Path
    fingerprint: str

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context to serve with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context


def keep_certificate(directory: Path, *, host: str, now: datetime | None = None) -> Certificate:
    """
    Return the certificate kept in *directory*, making one if there is none that still serves.

    Args:
        directory: Holds `cert.pem` and `key.pem`; created with mode 700 if missing.
        host: The address listened on; added to the names if it is a particular one.
        now: Aware time to judge validity by; the real time if None.

    Raises:
        OSError: If the directory cannot be written.
    """
    at = now or datetime.now(UTC)
    names = list(dict.fromkeys((*ALWAYS_NAMED, *([] if host in ("", "0.0.0.0", "::") else [host]))))
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    # Two simulators may start on one folder at once; without the lock they could keep each other's halves.
    with _locked(directory / ".lock"):
        kept = _kept(cert_file, key_file, names=names, at=at)
        if kept is None:
            key, kept = _made(names, at=at)
            _write(key_file, _key_pem(key))
            _write(cert_file, kept.public_bytes(serialization.Encoding.PEM))
    digest = kept.fingerprint(hashes.SHA256()).hex()
    return Certificate(cert_file=cert_file, key_file=key_file, fingerprint=f"sha256:{digest}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _kept(cert_file: Path, key_file: Path, *, names: list[str], at: datetime) -> x509.Certificate | None:
    try:
        cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        san = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return None
    valid = cert.not_valid_before_utc <= at and at + MARGIN < cert.not_valid_after_utc
    ours = key.public_key() == cert.public_key()
    return cert if valid and ours and all(_general_name(name) in san for name in names) else None


def _made(names: list[str], *, at: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "outdial PBX simulator")])
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id, critical=False)
        # OpenSSL's strict mode, Python 3.13's default, misses it otherwise.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
    )
    return key, builder.sign(key, hashes.SHA256())


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Replace *path* in one step; never readable by others, not even for a moment."""
    unfinished = path.with_suffix(".new")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    unfinished.replace(path)

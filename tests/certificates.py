"""Certificates with one flaw each, made for a test, and what it takes to trust them."""

import ipaddress
import ssl
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NAMES = ("127.0.0.1", "localhost")
DAY = timedelta(days=1)
# sha256WithRSAEncryption and sha1WithRSAEncryption in DER (RFC 8017, appendix A.2.4): of one length.
_SHA256, _SHA1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
# Parameters of a Diffie-Hellman exchange of 1024 bits: RFC 2409, section 6.2, in PKCS 3.
_DH_1024 = """-----BEGIN DH PARAMETERS-----
MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR
Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL
/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC
-----END DH PARAMETERS-----
"""


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    cert: x509.Certificate
    key: Key = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.cert.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    @property
    def fingerprint(self) -> str:
        return f"sha256:{self.cert.fingerprint(hashes.SHA256()).hex()}"


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """Return one key of a length for all tests: making one takes a while."""
    return rsa.generate_private_key(65537, bits)


def issue(
    name: str = "leaf",
    issuer: Identity | None = None,
    *,
    ca: bool = False,
    names: tuple[str, ...] = NAMES,
    days: tuple[int, int] = (-1, 1),
    key: Key | None = None,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    key_ids: bool = True,
    key_id: bytes = b"",
) -> Identity:
    """
    Issue a certificate; without an issuer it is self-signed.

    Args:
        name: Its common name.
        issuer: Who signs it.
        ca: It may issue others.
        names: Host names and IP addresses that it is for.
        days: From when to when it is valid, from now.
        key: Its key; a new EC key unless given.
        usage: Its extended key usage, unless it is a CA.
        key_ids: Subject and authority key identifiers are in it.
        key_id: Its subject key identifier, if not that of its key.
    """
    own: Key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer else own
    now = datetime.now(UTC)
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.BasicConstraints(ca=ca, path_length=None), True)]
    if ca:
        extensions.append((_issues, True))
    else:
        extensions.append((x509.ExtendedKeyUsage([usage]), False))
        extensions.append((x509.SubjectAlternativeName([_general(each) for each in names]), False))
    if key_ids:
        usual = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
        mine = x509.SubjectKeyIdentifier(key_id) if key_id else usual
        above = _key_id_of(issuer) if issuer else mine
        extensions.append((mine, False))
        extensions.append((x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), False))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.cert.subject if issuer else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Identity(builder.sign(signer, hashes.SHA256()), own)


def with_sha1(identity: Identity, issuer: Identity) -> Identity:
    """Return the certificate signed again with SHA-1, as `cryptography` no longer does; by RSA issuers only."""
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    signed = identity.cert.tbs_certificate_bytes
    old = signed.replace(_SHA256, _SHA1)
    signature = issuer.key.sign(old, padding.PKCS1v15(), hashes.SHA1())
    der = identity.cert.public_bytes(serialization.Encoding.DER).replace(signed, old)
    der = der.replace(_SHA256, _SHA1).replace(identity.cert.signature, signature)
    return Identity(x509.load_der_x509_certificate(der), identity.key)


def server_context(chain: tuple[Identity, ...], folder: Path, **changes: Any) -> ssl.SSLContext:
    """
    Return a context that serves a chain, however unsafe.

    Args:
        chain: The certificate and what is sent along with it.
        folder: Where the files go.
        changes: `ciphers`, `dh` (weak parameters), or attributes of the context.
    """
    file = folder / f"{id(chain)}.pem"
    file.write_bytes(b"".join(each.pem for each in chain) + chain[0].key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(changes.pop("ciphers", "ALL:@SECLEVEL=0"))
    context.load_cert_chain(file)
    if changes.pop("dh", False):
        file.write_text(_DH_1024)
        context.load_dh_params(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.0 and 1.1, which some tests are about
        for name, value in changes.items():
            setattr(context, name, value)
    return context


_issues = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _key_id_of(issuer: Identity) -> x509.SubjectKeyIdentifier:
    return issuer.cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

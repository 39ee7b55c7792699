"""The flaws of certificates for all tests: a chain that has each, and a phrase of its sentence."""

from dataclasses import dataclass
from functools import cache

from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import Identity, issue, rsa_key, with_sha1
from worker.tls_problems import Cause


@dataclass(frozen=True)
class Flaw:
    """
    One flaw.

    Attributes:
        cause: What it is.
        served: Which of `chains()` the server sends.
        trusted: Which of `authorities()` the client is given; empty if none.
        phrase: Part of the sentence; alternatives are separated by `|`.
        host: By which the client asks for it.
    """

    cause: Cause
    served: str
    trusted: str
    phrase: str
    host: str = "localhost"

    def __str__(self) -> str:
        return f"{self.cause.name}-{self.served}-{self.trusted or 'none'}"


FLAWS = (
    Flaw(Cause.EXPIRED, "expired", "ours", "has expired by the clock of this host; renew it"),
    Flaw(Cause.EXPIRED, "expired CA", "expired CA", "or a CA certificate above it, has expired"),
    Flaw(
        Cause.NOT_YET_VALID,
        "not yet valid",
        "ours",
        "is not yet valid by the clock of this host; check the clocks",
    ),
    Flaw(Cause.OTHER_NAME, "another name", "ours", "is not for the host name in"),
    Flaw(Cause.OTHER_NAME, "the address alone", "ours", "is not for the host name in"),
    Flaw(Cause.OTHER_ADDRESS, "the name alone", "ours", "is not for the IP address in", host="127.0.0.1"),
    Flaw(Cause.OTHER_ADDRESS, "another name", "ours", "is not for the IP address in", host="127.0.0.1"),
    Flaw(Cause.SELF_SIGNED, "self-signed", "", "is self-signed"),
    Flaw(Cause.SELF_SIGNED, "self-signed", "ours", "is self-signed and not the one in"),
    Flaw(Cause.SELF_SIGNED, "self-signed and expired", "", "is self-signed"),
    Flaw(Cause.SELF_SIGNED, "self-signed", "self-signed before", "has a new one, export it and add it to"),
    Flaw(
        Cause.PRIVATE_CA,
        "with the root",
        "",
        "comes from a private CA; set|comes from a CA that is not in ssl_ca_certs",
    ),
    Flaw(
        Cause.PRIVATE_CA,
        "with another root",
        "ours",
        "comes from a CA that is not in",
    ),
    Flaw(
        Cause.NO_ISSUER,
        "good",
        "",
        "does not send its intermediate certificates, or the CA is private|has another CA",
    ),
    Flaw(Cause.NO_ISSUER, "from another CA", "ours", "sends no intermediate certificates, or has another CA"),
    Flaw(
        Cause.NO_ISSUER,
        "without the intermediate",
        "ours",
        "send the whole chain or add the missing CA certificates",
    ),
    Flaw(Cause.CA_MADE_ANEW, "from the CA before", "made anew", "if the CA was made again"),
    Flaw(
        Cause.SHORT_KEY,
        "short key",
        "ours",
        "is too short to be safe; make a certificate with an RSA key",
    ),
    Flaw(
        Cause.SHORT_CA_KEY, "from a short CA", "short CA", "is too short to be safe; issue the certificate by a CA"
    ),
    Flaw(Cause.WEAK_DIGEST, "SHA-1", "RSA CA", "signed with SHA-1 or MD5, which is not safe; issue it again"),
    Flaw(Cause.PURPOSE, "for clients", "ours", "is not meant for servers; issue one with the extended key usage"),
    Flaw(Cause.NOT_A_CA, "from no CA", "ours", "may not issue it"),
)


@cache
def authorities() -> dict[str, Identity]:
    """Return what a client may be given to trust, by name."""
    return {
        "ours": issue("our CA", ca=True),
        "theirs": issue("their CA", ca=True),
        "RSA CA": issue("RSA CA", ca=True, key=rsa_key(2048)),
        "short CA": issue("short CA", ca=True, key=rsa_key(1024)),
        "expired CA": issue("expired CA", ca=True, days=(-3, -1)),
        # Two of one name and one key identifier: only the signatures differ.
        "before": issue("CA of one name", ca=True, key_id=b"one identifier"),
        "made anew": issue("CA of one name", ca=True, key_id=b"one identifier"),
        "self-signed before": issue("PBX"),
    }


@cache
def chains() -> dict[str, tuple[Identity, ...]]:
    """Return what a server may send, by name: its own certificate first."""
    known = authorities()
    ours, theirs = known["ours"], known["theirs"]
    middle = issue("our intermediate CA", ours, ca=True)
    no_ca = issue("no CA", ours)
    return {
        "good": (issue("leaf", ours),),
        "good RSA": (issue("leaf", known["RSA CA"], key=rsa_key(2048)),),
        "with the intermediate": (issue("leaf", middle), middle),
        "without the intermediate": (issue("leaf", middle),),
        "expired": (issue("leaf", ours, days=(-3, -1)),),
        "expired CA": (issue("leaf", known["expired CA"]),),
        "not yet valid": (issue("leaf", ours, days=(1, 3)),),
        "another name": (issue("leaf", ours, names=("crm.example.com", "192.0.2.7")),),
        "the address alone": (issue("leaf", ours, names=("127.0.0.1",)),),
        "the name alone": (issue("leaf", ours, names=("localhost",)),),
        "self-signed": (issue("PBX"),),
        "self-signed and expired": (issue("PBX", days=(-3, -1)),),
        "with the root": (issue("leaf", ours), ours),
        "with another root": (issue("leaf", theirs), theirs),
        "from another CA": (issue("leaf", theirs),),
        "from the CA before": (issue("leaf", known["before"]),),
        "short key": (issue("leaf", ours, key=rsa_key(1024)),),
        "from a short CA": (issue("leaf", known["short CA"]),),
        "SHA-1": (with_sha1(issue("leaf", known["RSA CA"]), known["RSA CA"]),),
        "for clients": (issue("leaf", ours, usage=ExtendedKeyUsageOID.CLIENT_AUTH),),
        "from no CA": (issue("leaf", no_ca), no_ca),
    }

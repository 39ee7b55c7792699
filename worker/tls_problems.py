"""
Why TLS with a PBX, an endpoint or Redis failed, and what to do about it.

OpenSSL reports a cause in one of three forms: the code of a failed verification, the reason of an error, or the
peer's alert. `_TABLE` has one row for each cause, for all kinds of peers. `worker.tls_peers` has the names that go
into its sentences.
"""

import re
import ssl
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum, auto

from worker.tls_peers import Peer


class Cause(Enum):
    """What went wrong; `_TABLE` has one row for each."""

    EXPIRED = auto()
    NOT_YET_VALID = auto()
    OTHER_NAME = auto()
    OTHER_ADDRESS = auto()
    PRIVATE_CA = auto()
    SELF_SIGNED = auto()
    NO_ISSUER = auto()
    NO_ROOT = auto()
    CA_MADE_ANEW = auto()
    SHORT_KEY = auto()
    SHORT_CA_KEY = auto()
    WEAK_DIGEST = auto()
    PURPOSE = auto()
    NOT_A_CA = auto()
    REVOKED = auto()
    MALFORMED = auto()
    REJECTED = auto()
    FINGERPRINT = auto()
    FILE_UNREADABLE = auto()
    CA_FILE_EMPTY = auto()
    CA_FILE_DAMAGED = auto()
    CLIENT_PAIR = auto()
    CLIENT_FILES = auto()
    CLIENT_WEAK = auto()
    CLIENT_WANTED = auto()
    CLIENT_UNTRUSTED = auto()
    CLIENT_EXPIRED = auto()
    CLIENT_REFUSED = auto()
    TOO_OLD = auto()
    OUTDATED = auto()
    NO_CIPHER = auto()
    UNKNOWN_NAME = auto()
    NOT_TLS = auto()
    PEER_FAILED = auto()
    CUT = auto()
    TIMED_OUT = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class _Row:
    """
    One cause: how OpenSSL reports it, and the sentence.

    Attributes:
        cause: Which.
        problem: What is wrong.
        advice: What to do.
        codes: Codes of failed verifications, `X509_V_ERR_...`.
        words: Parts of OpenSSL's texts, as `_normal` writes them.
        with_ca: Problem and advice where the peer's `ca` is given, if they differ.
    """

    cause: Cause
    problem: str
    advice: str
    codes: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    with_ca: tuple[str, str] | None = None


_EXPIRED = "{its}, or a CA certificate above it, has expired by the clock of this host"


_NO_ISSUER = (
    "the issuer of {its} is unknown: {peer} does not send its intermediate certificates, or the CA is private"
)
_SEND_OR_NAME = "let {peer} send the whole chain or set {ca} to the certificate of the CA{pin}"
_GOOD_KEY = "an RSA key of at least 2048 bits or an EC key"
_RENAME = "use a name that the certificate has, or issue one for this {} (as subject alternative name)"

# Sources: codes, openssl/x509_vfy.h of OpenSSL 3; reasons, openssl/sslerr.h; alerts, RFC 8446, section 6. Of words
# the first row that fits counts.
_TABLE = (
    # --- the certificate of the peer
    _Row(
        Cause.EXPIRED,
        _EXPIRED,
        "renew it",
        codes=(10,),
        with_ca=(_EXPIRED, "renew it, and replace it in {ca} if it is there too"),
    ),
    _Row(
        Cause.NOT_YET_VALID,
        "{its} is not yet valid by the clock of this host",
        "check the clocks of this host and of {peer}; a certificate made by a wrong clock must be made again",
        codes=(9,),
    ),
    _Row(
        Cause.OTHER_NAME,
        "{its} is not for the host name in {address}",
        _RENAME.format("name") + "{pin}{no_name_check}",
        codes=(62,),
    ),
    _Row(
        Cause.OTHER_ADDRESS,
        "{its} is not for the IP address in {address}",
        _RENAME.format("address") + "{pin}{no_name_check}",
        codes=(64,),
    ),
    _Row(
        Cause.PRIVATE_CA,
        "{its} comes from a private CA",
        "set {ca} to the certificate of that CA{pin}",
        codes=(19,),
        with_ca=(
            "{its} comes from a CA that is not in {ca}",
            "add the certificate of that CA to {file}{public}",
        ),
    ),
    _Row(
        Cause.SELF_SIGNED,
        "{its} is self-signed",
        "export it and set {ca} to the file{pin}",
        codes=(18,),
        with_ca=(
            "{its} is self-signed and not the one in {ca}",
            "if {peer} has a new one, export it and add it to {file}",
        ),
    ),
    _Row(
        Cause.NO_ISSUER,
        _NO_ISSUER,
        _SEND_OR_NAME,
        codes=(20, 21, 27),
        with_ca=(
            "the issuer of {its} is not in {ca}: {peer} sends no intermediate certificates, or has another CA",
            "let {peer} send the whole chain or add the missing CA certificates to {file}{public}",
        ),
    ),
    _Row(
        Cause.NO_ROOT,
        _NO_ISSUER,
        _SEND_OR_NAME,
        codes=(2,),
        with_ca=(
            "{ca} has an intermediate CA of {its}, but not its root CA",
            "add the root certificate to {file}",
        ),
    ),
    _Row(
        Cause.CA_MADE_ANEW,
        "{its} names a CA in {ca} as its issuer, but was signed by another key",
        "if the CA was made again, export the new one to the file or issue the certificate again",
        codes=(7,),
    ),
    _Row(
        Cause.SHORT_KEY,
        "the key of {its} is too short to be safe",
        f"make a certificate with {_GOOD_KEY}{{pin}}",
        codes=(66,),
    ),
    _Row(
        Cause.SHORT_CA_KEY,
        "the key of a CA above {its} is too short to be safe",
        f"issue the certificate by a CA with {_GOOD_KEY}{{pin}}",
        codes=(67,),
    ),
    _Row(
        Cause.WEAK_DIGEST,
        "{its}, or a CA certificate above it, is signed with SHA-1 or MD5, which is not safe",
        "issue it again with SHA-256{pin}",
        codes=(68,),
    ),
    _Row(
        Cause.PURPOSE,
        "{its} is not meant for servers",
        "issue one with the extended key usage serverAuth{pin}",
        codes=(26,),
    ),
    _Row(
        Cause.NOT_A_CA,
        "a certificate above {its} may not issue it ({detail})",
        "issue it by a CA with CA:TRUE and fitting key usage and name constraints{pin}",
        codes=(24, 25, 32, 47, 48, 79),
    ),
    _Row(Cause.REVOKED, "{its} is revoked", "issue a new one", codes=(23,)),
    _Row(
        Cause.MALFORMED,
        "{its}, or a CA certificate above it, breaks the rules for certificates ({detail})",
        "issue it again by a current tool{pin}",
        # From 80 on, what X509_V_FLAG_X509_STRICT adds; Python sets that flag from 3.13 on.
        codes=(13, 14, 34, 41, 49, 51, 52, 53, 77, 78, *range(80, 96)),
    ),
    _Row(
        Cause.REJECTED,
        "{its} is not accepted ({detail})",
        "issue another one{pin}",
    ),
    _Row(
        Cause.FINGERPRINT,
        "{its} does not match tls_fingerprint",
        "if {peer} has a new certificate, set the fingerprint that it shows; if not, something else answers",
    ),
    # --- our files
    _Row(
        Cause.FILE_UNREADABLE,
        "{files} cannot be read",
        "check the path, and let the user who runs outdial read the file",
        # requests has no class of its own for this.
        words=("CA_CERTIFICATE_BUNDLE,_INVALID_PATH",),
    ),
    _Row(
        Cause.CA_FILE_EMPTY,
        "{ca} is empty or has no certificate in PEM form",
        "export the certificate as PEM (Base64), which begins with BEGIN CERTIFICATE",
        words=("NO_CERTIFICATE_OR_CRL_FOUND", "NO_CERTIFICATE_FOUND", "NO_START_LINE"),
    ),
    _Row(
        Cause.CA_FILE_DAMAGED,
        "{ca} has a damaged certificate",
        "export the certificate again as PEM (Base64)",
        words=("[X509]_PEM_LIB", "[X509]_ASN1_LIB", "BAD_BASE64_DECODE", "BAD_END_LINE"),
    ),
    _Row(
        Cause.CLIENT_PAIR,
        "ssl_certfile and ssl_keyfile in redis_url do not belong together",
        "set ssl_keyfile to the key that the certificate was made for",
        words=("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"),
    ),
    _Row(
        Cause.CLIENT_FILES,
        "ssl_certfile or ssl_keyfile in redis_url is missing or not in PEM form, or the key has a passphrase",
        "give both, exported as PEM (Base64), the key without a passphrase",
        words=("[SSL]_PEM_LIB", "BAD_DECRYPT", "BAD_PASSWORD_READ"),
    ),
    _Row(
        Cause.CLIENT_WEAK,
        "the certificate in ssl_certfile in redis_url has too short a key, or is signed with SHA-1 or MD5",
        f"issue one with SHA-256 and {_GOOD_KEY}",
        words=("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"),
    ),
    # --- how the peer judges our certificate
    _Row(Cause.CLIENT_WANTED, "{it} wants a client certificate", "{client}", words=("CERTIFICATE_REQUIRED",)),
    _Row(
        Cause.CLIENT_UNTRUSTED,
        "{it} does not trust {certfile}",
        "set it to a certificate that a CA in tls-ca-cert-file of Redis issued",
        words=("ALERT_UNKNOWN_CA",),
    ),
    _Row(
        Cause.CLIENT_EXPIRED,
        "the certificate in {certfile} has expired by the clock of Redis",
        "renew it, or correct that clock",
        words=("ALERT_CERTIFICATE_EXPIRED",),
    ),
    _Row(
        Cause.CLIENT_REFUSED,
        "{it} refused {certfile} ({detail})",
        "set it to another certificate, and see the log of Redis for the reason",
        words=(
            "ALERT_BAD_CERTIFICATE",
            "ALERT_UNSUPPORTED_CERTIFICATE",
            "ALERT_CERTIFICATE_REVOKED",
            "ALERT_CERTIFICATE_UNKNOWN",
            "ALERT_ACCESS_DENIED",
        ),
    ),
    # --- the handshake
    _Row(
        Cause.TOO_OLD,
        "{it} supports only TLS versions older than 1.2, which are not safe",
        "{upgrade}",
        words=("UNSUPPORTED_PROTOCOL", "ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION", "VERSION_TOO_LOW"),
    ),
    _Row(
        Cause.OUTDATED,
        "{it} offered TLS that is too weak to be safe ({detail})",
        "{ciphers}",
        words=(
            "DH_KEY_TOO_SMALL",
            "UNSAFE_LEGACY_RENEGOTIATION",
            "WRONG_SIGNATURE_TYPE",
            "LEGACY_SIGALG_DISALLOWED",
            "NO_SUITABLE_SIGNATURE_ALGORITHM",
        ),
    ),
    _Row(
        Cause.NO_CIPHER,
        "{it} refused the TLS handshake: no cipher or TLS version in common, or it wants a client certificate",
        "{ciphers}; if it wants a certificate, {client}",
        words=("HANDSHAKE_FAILURE", "INSUFFICIENT_SECURITY", "NO_SHARED_CIPHER", "NO_CIPHERS_AVAILABLE"),
    ),
    _Row(
        Cause.UNKNOWN_NAME,
        "{it} has no TLS certificate for the host name in {address}",
        "use a host name that {peer} is set up for",
        words=("UNRECOGNIZED_NAME",),
    ),
    _Row(
        Cause.NOT_TLS,
        "its port does not speak TLS",
        "{port}",
        words=("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNEXPECTED_MESSAGE"),
    ),
    _Row(
        Cause.PEER_FAILED,
        "{it} failed in the TLS handshake by an error of its own",
        "see the log and the certificate of {peer}",
        words=("ALERT_INTERNAL_ERROR",),
    ),
    _Row(
        Cause.CUT,
        "{it} closed the connection during the TLS handshake",
        "check that {address} names a TLS port and that {peer} supports TLS 1.2 or 1.3, and see its log",
        words=("UNEXPECTED_EOF", "EOF_OCCURRED", "CONNECTION_RESET"),
    ),
    _Row(
        Cause.TIMED_OUT,
        "{it} did not answer the TLS handshake in time",
        "check that {address} names a TLS port (others may not answer), and whether {peer} is overloaded",
        words=("HANDSHAKE_OPERATION_TIMED_OUT",),
    ),
    _Row(Cause.OTHER, "TLS failed ({detail})", "see the log of {peer}"),
)
_ROWS = {row.cause: row for row in _TABLE}
_BY_CODE = {code: row.cause for row in _TABLE for code in row.codes}
# What Python reports by errors of its own, which mean this in a handshake alone.
_PLAIN_ERRORS: tuple[tuple[tuple[type[OSError], ...], Cause], ...] = (
    ((FileNotFoundError, IsADirectoryError, PermissionError), Cause.FILE_UNREADABLE),
    ((ConnectionResetError, BrokenPipeError), Cause.CUT),
)
_IN_HANDSHAKE = frozenset({Cause.CUT, Cause.TIMED_OUT, Cause.FILE_UNREADABLE})
# Alerts about a certificate of ours; where we have none to give they are not worth a sentence of their own.
_ABOUT_OURS = frozenset({Cause.CLIENT_UNTRUSTED, Cause.CLIENT_EXPIRED, Cause.CLIENT_REFUSED})


def tls_problem(error: BaseException, peer: Peer, *, in_handshake: bool) -> str:
    """
    Return what kept TLS from working and what to do, as `problem; advice`; empty if *error* is no TLS error.

    The sentence holds no address, no content of a certificate and nothing that was sent.

    Args:
        error: As a library raised it; the errors inside of it count.
        peer: Which kind of peer failed, and its settings.
        in_handshake: The connection was open and no request was sent yet, so a closed or silent connection counts.
    """
    cause = cause_of(error, in_handshake=in_handshake)
    return "" if cause is None else sentence(cause, peer, detail=_detail(error))


def cause_of(error: BaseException, *, in_handshake: bool) -> Cause | None:
    """Return what kept TLS from working, or None if *error* is no TLS error; see `tls_problem`."""
    for link in links(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return _BY_CODE.get(link.verify_code, Cause.REJECTED)
        if (cause := _cause_of_one(link)) and (in_handshake or cause not in _IN_HANDSHAKE):
            return cause
        if isinstance(link, ssl.SSLError) and in_handshake:
            return Cause.OTHER
    return None


def sentence(cause: Cause, peer: Peer, *, detail: str = "") -> str:
    """
    Return `problem; advice` for a cause.

    Args:
        cause: What went wrong.
        peer: Which kind of peer failed, and its settings.
        detail: OpenSSL's own words, for causes that have no others.
    """
    row = _ROWS[Cause.OTHER if cause in _ABOUT_OURS and not peer.certfile else cause]
    problem, advice = row.with_ca if row.with_ca and peer.has_ca else (row.problem, row.advice)
    return f"{problem}; {advice}".format(**asdict(peer), detail=detail)


def links(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and every error inside of it, as requests, urllib3, redis-py and Python nest them."""
    seen: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in seen:
        seen.append(step)
        yield step
        inner = getattr(step, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in step.args if isinstance(arg, BaseException)), None)
        step = inner or step.__cause__ or step.__context__


def _cause_of_one(link: BaseException) -> Cause | None:
    if isinstance(link, ssl.SSLError):
        return _cause_in(f"{getattr(link, 'reason', None)} {link}")
    for kinds, cause in _PLAIN_ERRORS:
        if isinstance(link, kinds):
            return cause
    return _cause_in(str(link)) if type(link) in (OSError, TimeoutError) else None


def _cause_in(text: str) -> Cause | None:
    normal = _normal(text)
    return next((row.cause for row in _TABLE if any(word in normal for word in row.words)), None)


def _detail(error: BaseException) -> str:
    """Return OpenSSL's own words for the first TLS error: constants of its source, without names and addresses."""
    first = next((link for link in links(error) if isinstance(link, ssl.SSLError)), None)
    words = getattr(first, "verify_message", None) or getattr(first, "reason", None) or "no reason was given"
    return re.sub(r"[^A-Za-z0-9 /-]", "", str(words).replace("_", " ")).lower()[:80]


def _normal(text: str) -> str:
    return text.upper().replace(" ", "_")

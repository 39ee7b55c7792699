"""What keeps TLS to Redis from coming about, and what to do about it."""

import ssl

# OpenSSL's words for what can be wrong between us and a Redis behind TLS.
_TLS_HINTS = {
    "WRONG_VERSION_NUMBER": "this Redis does not speak TLS on that port; name its TLS port by redis_url",
    "CERTIFICATE_REQUIRED": "this Redis asks for a certificate; give ssl_certfile and ssl_keyfile in redis_url",
    "UNKNOWN_CA": "this Redis does not trust ssl_certfile in redis_url; give one of its tls-ca-cert-file",
    "KEY_VALUES_MISMATCH": "ssl_certfile and ssl_keyfile in redis_url do not belong together",
}
_OTHER_NAME = (
    "the certificate of this Redis is for another host name; name it in redis_url as its certificate does"
)
_STRANGER = "the certificate of this Redis is not to be trusted ({}); see ssl_ca_certs in redis_url"


def tls_problem(error: BaseException) -> str:
    """Return in a sentence why TLS did not come about, and what to set; empty if that is not the error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: openssl/x509_vfy.h
        is_other = cause.verify_code in (62, 64)
        return _OTHER_NAME if is_other else _STRANGER.format(cause.verify_message)
    reason = getattr(cause, "reason", None) or ""
    return next((hint for word, hint in _TLS_HINTS.items() if word in reason), "")

"""
How sentences about TLS name PBXs, endpoints and Redis, and the settings for each.

Advice names only settings that exist for a peer and that can help. Imports nothing but the standard library.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """
    What the sentences call one kind of peer, and the settings for it.

    Attributes:
        its: The certificate of the peer.
        it: The peer, where the text before has named it.
        peer: The peer by name.
        address: The setting that holds its address.
        ca: The setting that names a file of trusted certificates.
        has_ca: Whether *ca* is given.
        files: All settings that name files for TLS.
        port: What to set where the port speaks no TLS.
        upgrade: What to do about TLS versions that are too old.
        ciphers: What to do about ciphers and keys that are too weak.
        client: What to do where the peer wants a client certificate.
        certfile: The setting that names a client certificate; empty where there is none to send.
        public: What else to do about a *ca* that does not fit.
        file: The file that *ca* names, where a certificate is to be added to it.
        pin: How to trust the very certificate; empty where no setting does that.
        no_name_check: Which setting switches the check of the name off; empty where none does.
    """

    its: str
    it: str
    peer: str
    address: str
    ca: str
    has_ca: bool
    files: str
    port: str
    upgrade: str
    ciphers: str
    client: str
    certfile: str = ""
    public: str = ""
    file: str = "the file"
    pin: str = ""
    no_name_check: str = ""


_NO_SETTING = ", for no setting of outdial allows them"
_REMOVE_CA = ", or remove ca_file if a public CA issued the certificate"


def pbx(*, has_ca: bool) -> Peer:
    """Return what the sentences call a PBX; *has_ca* is whether `ca_file` is given."""
    update = "update the firmware of the PBX, or put a TLS proxy in front of it"
    return Peer(
        its="its TLS certificate",
        it="it",
        peer="the PBX",
        address="base_url",
        ca="ca_file",
        has_ca=has_ca,
        files="ca_file",
        port="set base_url to the HTTPS port, or to http:// to do without TLS",
        upgrade=update + _NO_SETTING,
        ciphers=update,
        client="turn that off on the PBX, for outdial has none to send",
        public=_REMOVE_CA,
        pin=", or pin the certificate by tls_fingerprint" + (" instead of ca_file" if has_ca else ""),
    )


def endpoint(*, has_ca: bool, address: str = "url") -> Peer:
    """Return what the sentences call the receiver of an HTTP call; *address* is the setting with its address."""
    update = "update the server, or put a TLS proxy in front of it"
    return Peer(
        its="its TLS certificate",
        it="it",
        peer="the server",
        address=address,
        ca="ca_file",
        has_ca=has_ca,
        files="ca_file",
        port=f"set {address} to the HTTPS port, or to http:// with allow_http = true to do without TLS",
        upgrade=update + _NO_SETTING,
        ciphers=update,
        client="turn that off on the server, for outdial has none to send",
        public=_REMOVE_CA,
    )


REDIS = Peer(
    its="the TLS certificate of Redis",
    it="Redis",
    peer="Redis",
    address="redis_url",
    # The CAs of the system count besides. The sentences hold whether the option is given or not.
    ca="ssl_ca_certs in redis_url",
    has_ca=True,
    file="its file; set the option if it is missing",
    files="a certificate or key file in redis_url",
    port="set redis_url to the TLS port, or to redis:// to do without TLS",
    upgrade="enable TLS 1.2 or 1.3 by tls-protocols in the configuration of Redis, or update Redis",
    ciphers="check tls-ciphers and tls-dh-params-file in the configuration of Redis",
    client="set ssl_certfile and ssl_keyfile in redis_url",
    certfile="ssl_certfile in redis_url",
    no_name_check=", or set ssl_check_hostname=false in redis_url if the CA is yours alone",
)

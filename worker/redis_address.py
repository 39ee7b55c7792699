"""Where Redis is: every address is taken apart here, for our own client and for Celery alike."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider
from redis.retry import Retry

SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")
# A sentinel answers at once or is gone. The next one is asked, so a dead one must not cost a claim's time.
_SENTINEL_S = 1.0
_DEFAULT_MASTER = "mymaster"  # the name in the sentinel.conf that Redis ships
_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379}
_TLS_OPTIONS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL_OPTIONS = {"master", "sentinel_user", "sentinel_password"}
_OPTIONS = {
    "redis": set(),
    "rediss": _TLS_OPTIONS,
    "redis+socket": {"virtual_host"},
    "sentinel": _SENTINEL_OPTIONS | _TLS_OPTIONS,
}


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """
    One Redis: a server, a unix socket, or whichever server a group of sentinels calls the primary.

    Attributes:
        scheme: One of SCHEMES.
        hosts: Host and port of the server, or of each sentinel; empty for a unix socket.
        socket: Path of the unix socket, empty for the rest.
        database: Number of the database.
        username: Of the server that holds the data; None for its default user.
        password: Of the same.
        tls: What `redis.SSLConnection` takes, as pairs; empty without TLS.
        master: What the sentinels call the primary; empty without sentinels.
        sentinel_username: Of the sentinels themselves.
        sentinel_password: Of the same; None where they ask for none.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: tuple[tuple[str, str | bool], ...] = field(default=(), repr=False)
    master: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """
        Take an address apart.

        Args:
            url: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`; the same with `rediss://` for TLS, with the
                options `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` and
                `ssl_check_hostname`; `redis+socket://[[USER]:PASSWORD@]/PATH[?virtual_host=DB]`; or
                `sentinel://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT],.../DB?master=NAME`, with semicolons or
                commas and the scheme once or for each, user and password being those of the data, and
                `sentinel_user` and `sentinel_password` as options for the sentinels' own; with any of the TLS
                options both the sentinels and the data are spoken to by TLS. User names and passwords are
                percent-encoded.

        Raises:
            ValueError: With one sentence that quotes nothing of the address.
        """
        scheme, found, rest = url.partition("://")
        if not found or scheme not in SCHEMES:
            raise ValueError(f"must begin with one of {', '.join(f'{known}://' for known in SCHEMES)}")
        pieces = [rest]
        if scheme == "sentinel":
            pieces = [one.removeprefix("sentinel://") for one in rest.replace(",", ";").split(";")]
        parts = [_Part.parse(piece, scheme) for piece in pieces]
        options = {name: value for part in parts for name, value in part.options}
        socket = parts[0].path if scheme == "redis+socket" else ""
        if not socket and not all(part.host for part in parts):
            raise ValueError("names no host, or no path of a socket; give one such as redis://127.0.0.1:6379/0")
        return cls(
            scheme=scheme,
            hosts=() if socket else tuple((part.host, part.port) for part in parts),
            socket=socket,
            database=_number(options.get("virtual_host", "") if socket else _only(parts, "database")),
            username=_only(parts, "username") or None,
            password=_only(parts, "password") or None,
            tls=_tls(options) if scheme == "rediss" or options.keys() & _TLS_OPTIONS else (),
            master=options.get("master", _DEFAULT_MASTER) if scheme == "sentinel" else "",
            sentinel_username=options.get("sentinel_user"),
            sentinel_password=options.get("sentinel_password"),
        )

    @property
    def place(self) -> str:
        """Where it is, without user, password and options: fit for a log."""
        return f"{self.scheme}://{self.socket or ','.join(f'{_host(host)}:{port}' for host, port in self.hosts)}"

    def is_beside(self, other: "RedisAddress") -> bool:
        """Return whether both addresses lead to one server as one user; their databases may differ."""
        mine, theirs = (
            # The order of the sentinels does not matter.
            (frozenset(address.hosts), address.socket, address.master, address.username)
            for address in (self, other)
        )
        return mine == theirs

    @property
    def celery_url(self) -> str:
        """
        The address as Celery takes it for broker and results; holds the password.

        Each sentinel is named with all there is to say: kombu goes on to the next with nothing but its URL.
        """
        login = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        if self.socket:
            return f"{self.scheme}://{login}{quote(self.socket)}?virtual_host={self.database}"
        return ";".join(
            f"{self.scheme}://{login}{_host(host)}:{port}/{self.database}" for host, port in self.hosts
        )

    @property
    def celery_transport_options(self) -> dict[str, Any]:
        """What Celery's broker and results take apart from the URL: who the primary is and how to ask for it."""
        return {"master_name": self.master, "sentinel_kwargs": self.sentinel_options} if self.master else {}

    @property
    def tls_options(self) -> dict[str, Any]:
        """
        What `redis.SSLConnection` takes, for Celery too; empty without TLS.

        A certificate is always asked for unless the address says otherwise: kombu by itself would take any.
        """
        return dict(self.tls)

    @property
    def tls_files(self) -> dict[str, str]:
        """The files that TLS needs: {option: path}."""
        return {name: str(value) for name, value in self.tls if name in _TLS_FILES}

    @property
    def sentinel_options(self) -> dict[str, Any]:
        """What the connections to the sentinels themselves are made with."""
        options: dict[str, Any] = {
            "socket_timeout": _SENTINEL_S,
            "socket_connect_timeout": _SENTINEL_S,
            # redis-py would ask a dead sentinel ten times before it asks the next one.
            "retry": Retry(NoBackoff(), 0),
        }
        if self.tls:
            options |= {"ssl": True, **self.tls_options}
        if self.sentinel_password:
            # Celery shows its options to whoever inspects a worker; this value shows no password.
            login = UsernamePasswordCredentialProvider(self.sentinel_username, self.sentinel_password)
            options["credential_provider"] = login
        return options


def with_password(url: str, password: str) -> str:
    """
    Return an address with the password of the data in it, which it must not have yet.

    Raises:
        ValueError: With one sentence that quotes nothing of the address.
    """
    scheme, _, rest = url.partition("://")
    if RedisAddress.parse(url).password is not None:
        raise ValueError("is given twice; take the password out of the address")
    # Of a group of sentinels the first is enough: user and password are those of the data.
    user, found, place = rest.partition("@")
    login, place = (user, place) if found else ("", rest)
    return f"{scheme}://{login.rstrip(':')}:{quote(password, safe='')}@{place}"


@dataclass(frozen=True, slots=True)
class _Part:
    """One host of an address, or all there is of one with a single host."""

    host: str
    port: int
    path: str
    database: str
    username: str
    password: str
    options: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, piece: str, scheme: str) -> Self:
        try:
            split = urlsplit(f"//{piece}")
            port = split.port or _PORTS.get(scheme, 0)
        except ValueError:
            raise ValueError(
                "is not an address: percent-encode what is special in user and password, and give a port from 1 "
                "to 65535"
            ) from None
        options = tuple(parse_qsl(split.query, keep_blank_values=True))
        if {name for name, _ in options} - _OPTIONS[scheme]:
            # Not which: it may be the end of a password with a question mark.
            known = ", ".join(sorted(_OPTIONS[scheme])) or "none"
            raise ValueError(f"has an unknown option behind the question mark; {scheme}:// knows: {known}")
        login = unquote(split.username or ""), unquote(split.password or "")
        path = unquote(split.path)
        return cls(unquote(split.hostname or ""), port, path, path.strip("/"), *login, options)


def _only(parts: list[_Part], name: str) -> str:
    """Return what the parts that say anything agree on."""
    said = {value for part in parts if (value := str(getattr(part, name)))}
    if len(said) > 1:
        raise ValueError(f"gives the sentinels different values for {name}; they are those of the data: give one")
    return said.pop() if said else ""


def _number(text: str) -> int:
    if text and not text.isdecimal():
        raise ValueError("names a database that is no number; give one such as /0")
    return int(text or 0)


def _tls(options: dict[str, str]) -> tuple[tuple[str, str | bool], ...]:
    made: dict[str, str | bool] = {"ssl_cert_reqs": "required"}
    made |= {name: value for name, value in options.items() if name in _TLS_OPTIONS}
    if made["ssl_cert_reqs"] not in ("required", "optional", "none"):
        raise ValueError("ssl_cert_reqs must be required, optional or none")
    if "ssl_check_hostname" in options:
        made["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in ("0", "false", "no")
    return tuple(made.items())


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host

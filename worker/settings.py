"""One frozen Settings, read once at start from a TOML file and the environment, and passed down."""

import os
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.errors import ConfigurationError
from worker.jobs import PBX_NAME
from worker.redis_address import SCHEMES, RedisAddress, with_password
from worker.secret_reader import EVERY_ROLE, Role, SecretReader, unreadable
from worker.webhooks.endpoints import EndpointSettings, Route, WebhooksSettings, signing_key, tells

CONFIG_VARIABLE = "OUTDIAL_CONFIG"
DEFAULT_CONFIG = Path("outdial.toml")
# Names that end like those of secrets in files, and are not.
_REAL_FILES = ("ca_file",)
# Tables of a source whose names are those of the CRM and of a job.
_NO_SECRETS_IN = ("map", "extensions")
_IN_REDIS = tuple(f"{scheme}://" for scheme in SCHEMES)
# Passwords that go into addresses, so that an address may be read by all and its password lie in a file.
_PASSWORDS = {"redis_url": "redis_password", "result_backend": "result_backend_password"}
# Names of secrets that may stand in the settings file itself.
_SECRET_NAMES = frozenset(
    {"password", "secret", "token", "application_token", "client_secret", "access_token", "rest_url"}
)

ApiName = Literal["yeastar-s-v1.0", "yeastar-s-v1.1", "yeastar-s-v2.0"]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# A file may say 9 for "9".
DialPrefix = Annotated[str, Field(coerce_numbers_to_str=True)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumberRules(_Part):
    """
    How telephone numbers are written for one PBX, and which of them it may call.

    `country` (ISO 3166, two letters) is that of numbers written nationally. `write` says what is dialed:
    `national`, as one dials at home, and other countries' numbers with `international_prefix`; `international`,
    all with prefix and country code; `e164`, all with + and country code; `keep`, as they came, without
    punctuation. `international_prefix` None is the country's own, or 00. `trunk_prefix` None is what the country
    writes in front of a national number; another one goes in front of all national numbers. `outside_line` goes in
    front of all that leaves the PBX. Strings of 0-9 * # of up to `internal_digits` characters stay as they are.
    `strict` takes numbers of ranges known to be in use only, not all of a possible length. `countries` are the
    only ones that may be called; None: all.
    """

    country: str | None = None
    write: Literal["national", "international", "e164", "keep"] = "national"
    international_prefix: DialPrefix | None = None
    trunk_prefix: DialPrefix | None = None
    outside_line: DialPrefix = ""
    internal_digits: Annotated[int, Field(ge=0, le=15)] = 6
    premium: Literal["refuse", "allow"] = "refuse"
    strict: bool = False
    countries: frozenset[str] | None = None

    @field_validator("country")
    @classmethod
    def _is_a_country(cls, country: str | None) -> str | None:
        return None if country is None else _known_country(country)

    @field_validator("countries")
    @classmethod
    def _are_countries(cls, countries: frozenset[str] | None) -> frozenset[str] | None:
        if countries is None:
            return None
        if not countries:
            raise ValueError("is empty, so that nothing could be called; name countries, or leave it out")
        return frozenset(_known_country(country) for country in countries)

    @field_validator("international_prefix", "trunk_prefix", "outside_line")
    @classmethod
    def _can_be_dialed(cls, prefix: str | None, field: ValidationInfo) -> str | None:
        # 0-9 only in the middle of a number; * and # are feature codes, which some PBXs have before a line.
        allowed, right = _PREFIXES.get(field.field_name or "", (r"[0-9]{0,8}", "up to 8 digits"))
        if prefix is not None and not re.fullmatch(allowed, prefix):
            raise ValueError(f"{prefix!r} is not right; give {right}")
        return prefix


_PREFIXES = {
    "international_prefix": (r"\+|[0-9]{0,8}", "up to 8 digits, or +"),
    "outside_line": (r"[0-9*#]{0,4}", "up to 4 characters of 0-9 * #"),
}


def _known_country(country: str) -> str:
    # Takes 50 ms to import, for those who have such a rule only.
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415

    code = country.strip().upper()
    if code not in SUPPORTED_REGIONS:
        hint = "GB" if code == "UK" else "two letters of ISO 3166, such as GB or US"
        raise ValueError(f"{country!r} is not a country with telephone numbers; give {hint}")
    return code


class PbxSettings(_Part):
    """
    One PBX: where it is, how to log in, how much it can take.

    `calls_per_second` and `burst` are a promise over all workers and hosts: any sliding second holds at most
    `calls_per_second + burst - 1` calls. `open_call_s` is how long a placed call keeps its line and extension
    where no event tells its end; `extension_rest_s` comes on top for the extension. Without `numbers` a number is
    dialed as it comes, without punctuation.
    """

    api: ApiName
    base_url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+/?$")]
    username: Annotated[str, Field(min_length=1)]
    password: SecretStr | None = None
    password_env: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    tls_fingerprint: Annotated[str, Field(pattern=r"^sha256:([0-9a-fA-F]{2}:?){32}$")] | None = None
    tls_verify: bool = True
    calls_per_second: Annotated[float, Field(gt=0, le=1000)] = 2.0
    burst: Annotated[int, Field(ge=1, le=1000)] = 1
    max_open_calls: Annotated[int, Field(ge=1)] = 8
    open_call_s: Seconds = 60
    extension_rest_s: Seconds = 2
    connect_timeout_s: Annotated[float, Field(gt=0, le=10)] = 3
    # 15 s at most, so that one attempt stays within `attempt_deadline_s` (measured with the Celery settings).
    read_timeout_s: Annotated[float, Field(gt=0, le=15)] = 10
    numbers: NumberRules | None = None

    @model_validator(mode="after")
    def _tls_is_said_once(self) -> Self:
        said = [self.ca_file is not None, self.tls_fingerprint is not None, not self.tls_verify]
        if sum(said) > 1:
            raise ValueError("give one of ca_file, tls_fingerprint and tls_verify = false, not several")
        return self

    @property
    def secret(self) -> str:
        """
        The password itself.

        Raises:
            ConfigurationError: In a process that was not given it, for it does not dial.
        """
        if self.password is None:
            raise ConfigurationError([f"pbx.password: this process was not given that of {self.base_url}"])
        return self.password.get_secret_value()

    def credentials_mark(self) -> str:
        """Return 16 hex digits that change with address, user name or password, and tell none of them."""
        return sha256("\0".join((self.base_url, self.username, self.secret)).encode()).hexdigest()[:16]


class RetrySettings(_Part):
    """
    How often and how patiently a call is tried again.

    `max_attempts` counts attempts that reached the PBX; a PBX that is down costs none. Waits grow from `base_s`,
    doubling up to `cap_s`, with full jitter. Nothing is tried again `deadline_s` after the job's first due time.
    Waits up to `slot_wait_s` are slept in the worker's slot; longer ones park the job.
    """

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    base_s: PositiveSeconds = 1
    cap_s: PositiveSeconds = 60
    deadline_s: PositiveSeconds = 3600
    slot_wait_s: Annotated[float, Field(ge=0, le=5)] = 0.5
    # Longer than the PBX's own lock-out of 10 minutes, counted from our last attempt.
    login_block_s: Annotated[float, Field(ge=600)] = 610


class LookSettings(_Part):
    """
    How long and how often a PBX is looked at when nobody can say from the attempt alone whether the phone rang.

    One look asks for all extensions and all outbound calls of the PBX, and so answers for all of its doubtful
    jobs: two requests, not before `every_s` after the last ones. It costs `permits` of the PBX's calls per second;
    at a slow PBX looks are further apart, up to 10 s, so that calls get half of the permits. Where the
    PBX itself said Failed, the extension must be seen idle for `quiet_s` before the job is tried again. A lost
    reply ends as unknown, or is redialed where the job wants that, once the extension was seen idle `within_s`
    after it. An extension in use, or a PBX that cannot be asked, is looked at for `at_most_s`; a phone rings for
    less.
    """

    every_s: Annotated[float, Field(ge=0.05, le=60)] = 1
    quiet_s: Annotated[float, Field(ge=0, le=60)] = 3
    within_s: Annotated[float, Field(ge=0, le=300)] = 10
    at_most_s: Annotated[float, Field(gt=0, le=600)] = 60
    permits: Annotated[int, Field(ge=0, le=10)] = 1

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.quiet_s <= self.at_most_s or not self.within_s <= self.at_most_s:
            raise ValueError("quiet_s and within_s must not be more than at_most_s")
        return self


class BreakerSettings(_Part):
    """
    When a PBX that cannot be reached, or sends no answers, is left alone.

    The breaker opens after so many `failures` in a row, for `base_s`, then lets one probe through; each probe that
    fails doubles the time, up to `cap_s`, which bounds how long after its return a PBX gets its first call.
    """

    failures: Annotated[int, Field(ge=1, le=100)] = 3
    base_s: PositiveSeconds = 0.5
    cap_s: PositiveSeconds = 5


class WorkerSettings(_Part):
    """
    How many processes and slots, how long they may take to stop, and how they show that they are well.

    In `heartbeat_dir`, a folder of one `outdial worker` alone, it and its processes write every second when their
    parts last heard something. `python -P -m worker.heartbeat check` reads that, and a process that has heard
    nothing for `deaf_after_s` though Redis answers is ended and started anew. Without the folder nobody looks. A
    process finds a half-open connection by itself within 12 s: less than 15 s would end those about to mend.
    """

    processes: Annotated[int, Field(ge=1, le=256)] = 2
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    stop_grace_s: PositiveSeconds = 35
    heartbeat_dir: Path | None = None
    deaf_after_s: Annotated[float, Field(ge=3, le=600)] = 30

    @field_validator("heartbeat_dir")
    @classmethod
    def _is_the_same_from_everywhere(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_absolute():
            raise ValueError(f"'{folder}' is no absolute path; give one, such as /run/outdial")
        return folder


class ReplicationSettings(_Part):
    """
    How many replicas must know of a claim before its phone rings, and how long they have to say so.

    With `wait_replicas` above 0 a fail-over cannot forget a claim whose phone rang, as long as the replica that
    takes over is one of those that said so; while there are fewer, nobody dials. 0 dials at once.
    """

    wait_replicas: Annotated[int, Field(ge=0, le=16)] = 0
    wait_s: Annotated[float, Field(gt=0, le=5)] = 0.5


class FlowerSettings(_Part):
    """
    Where Flower listens, who may look, and what it keeps; without a password one is made up and shown at start.

    `url_prefix` is the path under which a proxy shows it. The last `max_tasks` jobs are kept in memory, and in the
    file `database`, if there is one, every `save_every_s` and at its end.
    """

    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 5555
    username: str = "operator"
    password: SecretStr | None = None
    password_env: str | None = None
    password_file: Path | None = None
    url_prefix: str = ""
    database: Path | None = None
    save_every_s: Annotated[float, Field(ge=1, le=86_400)] = 60
    max_tasks: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000

    @field_validator("username")
    @classmethod
    def _can_log_in(cls, name: str) -> str:
        if not re.fullmatch(r"[!-~]+", name) or set(name) & set(":,"):
            raise ValueError("has a character Flower cannot check; give letters, digits and - _ . @ of ASCII")
        return name

    @field_validator("url_prefix")
    @classmethod
    def _is_a_path(cls, prefix: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", prefix.strip("/")) and prefix.strip("/"):
            raise ValueError("is not a path of letters, digits, - and _; give such as flower or ops/flower")
        return prefix.strip("/")


class ApiSettings(_Part):
    """
    Where the HTTP intake listens, and what it takes.

    `public_url` is how CRMs see it, without a path: what they sign holds it, so nobody guesses it from a request.
    TLS is the proxy's in front, or by `tls_cert` and `tls_key` (PEM). `max_body_bytes` bounds every body but that
    of a batch. An `Idempotency-Key` is remembered for `idempotency_s`.
    """

    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")] | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 2**20
    max_batch_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 64 * 2**20
    idempotency_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400

    @model_validator(mode="after")
    def _key_has_its_certificate(self) -> Self:
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("tls_key: is of no use without tls_cert; give both, or a tls_cert that holds the key")
        return self


class MetricsSettings(_Part):
    """
    Where metrics are told: `port` by each supervisor of workers, `api_port` by the HTTP intake; 0: nowhere.

    Both at `address` and without a password: keep them off public addresses.
    """

    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    api_port: Annotated[int, Field(ge=0, le=65535)] = 0

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if self.port and self.port == self.api_port:
            raise ValueError(
                f"api_port: {self.api_port} is the port of the workers' metrics too; give another, or 0 for none"
            )
        return self


class TracingSettings(_Part):
    """
    Where traces of jobs are sent: an OTLP collector, by HTTP; without `endpoint` nothing is traced.

    `sample_ratio` is the share of jobs that are traced, from 0 to 1; a caller that sends a `traceparent` gets no
    more than that. `service_name` is what the collector shows.
    """

    endpoint: Annotated[str, Field(pattern=r"^https?://[^?#@\s]+$")] | None = None
    service_name: Annotated[str, Field(min_length=1, max_length=100)] = "outdial"
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1


class TimeLimits(_Part):
    """
    The order that keeps a call from ringing twice.

    `attempt_deadline_s` (no request of an attempt begins later, or lives longer) < `claim_lease_s` (whatever was
    sent has reached the PBX) < `claim_dead_s` (others look what became of the call). `release_ttl_s`: a released
    job nobody claimed goes back to its lane. `visibility_timeout_s`: Celery's own redelivery, at least three
    deadlines away.
    """

    attempt_deadline_s: PositiveSeconds = 30
    claim_lease_s: PositiveSeconds = 38
    claim_dead_s: PositiveSeconds = 45
    release_ttl_s: PositiveSeconds = 45
    visibility_timeout_s: Annotated[int, Field(ge=60)] = 300

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.attempt_deadline_s < self.claim_lease_s < self.claim_dead_s:
            raise ValueError("attempt_deadline_s < claim_lease_s < claim_dead_s must hold")
        if not 3 * self.attempt_deadline_s < self.visibility_timeout_s:
            raise ValueError("visibility_timeout_s must be more than 3 * attempt_deadline_s")
        return self


class Settings(BaseSettings):
    """
    Everything a process needs to know, frozen.

    Any value may come from the environment: `OUTDIAL_REDIS_URL`, `OUTDIAL_PBX__HQ__BURST`. The environment wins
    over the file. Secrets are named by `…_env` or `…_file` and never have to stand in the file.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="OUTDIAL_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    redis_url: str = Field(repr=False)
    result_backend: str | None = Field(default=None, repr=False)
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")] = "outdial"
    default_pbx: str | None = None
    retain_s: Annotated[int, Field(ge=1)] = 7 * 86400
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    pbx: dict[Annotated[str, Field(pattern=PBX_NAME)], PbxSettings] = Field(default_factory=dict)
    retry: RetrySettings = RetrySettings()
    look: LookSettings = LookSettings()
    breaker: BreakerSettings = BreakerSettings()
    worker: WorkerSettings = WorkerSettings()
    limits: TimeLimits = TimeLimits()
    replication: ReplicationSettings = ReplicationSettings()
    flower: FlowerSettings = FlowerSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    # CRM hooks, as written but for their secrets, which are resolved; `producers.crm` knows their kinds.
    source: dict[Annotated[str, Field(pattern=PBX_NAME)], dict[str, Any]] = Field(default_factory=dict, repr=False)
    webhook: dict[Annotated[str, Field(pattern=PBX_NAME)], EndpointSettings] = Field(default_factory=dict)
    webhooks: WebhooksSettings = WebhooksSettings()
    _secret_files: tuple[Path, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which comes in as the constructor's arguments."""
        return env_settings, init_settings

    @field_validator("redis_url", "result_backend")
    @classmethod
    def _is_an_address(cls, url: str | None, field: ValidationInfo) -> str | None:
        # Results may go to any of Celery's backends; of those, the ones in Redis are taken apart by us.
        if url is not None and (field.field_name == "redis_url" or url.startswith(_IN_REDIS)):
            RedisAddress.parse(url)
        return url

    @model_validator(mode="after")
    def _stops_after_its_deadline(self) -> Self:
        if self.worker.stop_grace_s <= self.limits.attempt_deadline_s:
            raise ValueError("worker.stop_grace_s must be more than limits.attempt_deadline_s")
        # What is left of the deadline must do for the call, far from the end of the claim's lease.
        if self.replication.wait_s > self.limits.attempt_deadline_s / 3:
            raise ValueError("replication.wait_s must be at most a third of limits.attempt_deadline_s")
        if self.default_pbx is not None and self.default_pbx not in self.pbx:
            raise ValueError(f"default_pbx: {self.default_pbx!r} is not one of the PBXs: {', '.join(self.pbx)}")
        if unknown := self.webhooks.sources.keys() - self.source.keys():
            raise ValueError(
                f"webhooks.sources: there is no [source.{min(unknown)}]; name one of {list(self.source)}"
            )
        return self

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, *, roles: frozenset[Role] = EVERY_ROLE) -> Self:
        """
        Read the settings, and of the secrets those that the process needs.

        Args:
            path: The TOML file; None takes the one OUTDIAL_CONFIG names, else `outdial.toml` here if there is
                one, else the environment alone.
            roles: What the process does. Secrets and certificates of other roles may be missing, and are not
                kept where they are there.

        Raises:
            ConfigurationError: With one sentence for every problem at once.
        """
        file = _chosen_file(path)
        content = _toml(file) if file else {}
        # Asked of the file alone: below it is joined by what stands elsewhere.
        secret_in_file = [file] if file and _holds_secret(content) else []
        reader = SecretReader(file.parent if file else Path.cwd(), roles)
        if "redis_url" not in content and (shared := os.environ.get("REDIS_URL")):
            content["redis_url"] = shared
        passwords = _resolve_top_secrets(content, reader)
        try:
            settings = cls(**content)
        except ValidationError as refused:
            told = [_sentence(problem) for problem in refused.errors()]
            raise ConfigurationError(reader.problems + told) from None
        changes = _with_passwords(settings, passwords, reader.problems) | _with_secrets_of_parts(settings, reader)
        reader.problems += _missing_tls_files(settings)
        if reader.problems:
            raise ConfigurationError(reader.problems)
        resolved = settings.model_copy(update=changes)
        resolved._secret_files = (*reader.files, *secret_in_file)  # noqa: SLF001
        return resolved

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """The files that secrets were read from; the settings file is one if there are any in it."""
        return self._secret_files

    @property
    def result_backend_url(self) -> str:
        """Where Celery results go: `result_backend`, or the jobs' own Redis."""
        return self.result_backend or self.redis_url

    @property
    def redis_address(self) -> RedisAddress:
        """Where jobs and broker are."""
        return RedisAddress.parse(self.redis_url)

    @property
    def result_address(self) -> RedisAddress | None:
        """Where results are, if that is a Redis."""
        url = self.result_backend_url
        return RedisAddress.parse(url) if url.startswith(_IN_REDIS) else None

    @property
    def queue(self) -> str:
        """Celery's queue of released jobs."""
        return f"{self.namespace}.dial"

    @property
    def webhook_queue(self) -> str:
        """Celery's queue of deliveries that may go now."""
        return f"{self.namespace}.webhooks"


def _chosen_file(path: str | os.PathLike[str] | None) -> Path | None:
    named = path or os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError([f"settings file {file}: {error.strerror}; name it by --config"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"settings file {file}: is not TOML: {error}"]) from None


def _resolve_top_secrets(content: dict[str, Any], reader: SecretReader) -> dict[str, str]:
    """Put the addresses that stand elsewhere into *content*, and return the passwords that go into addresses."""
    for name in ("redis_url", "result_backend"):
        if value := _top_secret(name, content, reader):
            content[name] = value
    named = {setting: _top_secret(password, content, reader) for setting, password in _PASSWORDS.items()}
    return {setting: password for setting, password in named.items() if password}


def _top_secret(name: str, content: dict[str, Any], reader: SecretReader) -> str | None:
    """Return what `NAME_env` or `NAME_file` points at, here or in the environment, which wins."""
    variable, file = (
        os.environ.get(f"OUTDIAL_{name.upper()}_{form.upper()}") or content.get(f"{name}_{form}")
        for form in ("env", "file")
    )
    for form in ("env", "file"):
        content.pop(f"{name}_{form}", None)
    return reader.read(variable, Path(file) if file else None, name)


def _with_passwords(settings: Settings, passwords: dict[str, str], problems: list[str]) -> dict[str, Any]:
    """Return the addresses that have a password from elsewhere, with it."""
    changes = {}
    for setting, password in passwords.items():
        url = getattr(settings, setting)
        try:
            if url is None or not url.startswith(_IN_REDIS):
                raise ValueError(f"has no address in Redis to go with; set {setting}, or leave it out")
            changes[setting] = with_password(url, password)
        except ValueError as wrong:
            problems.append(f"{_PASSWORDS[setting]}: {wrong}")
    return changes


def _missing_tls_files(settings: Settings) -> list[str]:
    addresses = {"redis_url": settings.redis_address, "result_backend": settings.result_address}
    return [
        f"{setting}: {option} is {file}, which {problem}; give one in PEM form"
        for setting, address in addresses.items()
        if address and (setting == "redis_url" or settings.result_backend)
        for option, file in address.tls_files.items()
        if (problem := unreadable(Path(file)))
    ]


def _with_secrets_of_parts(settings: Settings, reader: SecretReader) -> dict[str, Any]:
    return {
        "pbx": {name: _pbx_with_secrets(pbx, f"pbx.{name}", reader) for name, pbx in settings.pbx.items()},
        "flower": _flower_with_secrets(settings.flower, reader),
        "source": {
            name: _source_with_secrets(table, f"source.{name}", reader) for name, table in settings.source.items()
        },
        "api": _with_certificate(settings.api, reader),
        "webhook": {
            name: _endpoint_with_secrets(endpoint, f"webhook.{name}", reader)
            for name, endpoint in settings.webhook.items()
        },
        "webhooks": _with_ca_files(settings.webhooks, reader),
    }


def _pbx_with_secrets(pbx: PbxSettings, where: str, reader: SecretReader) -> PbxSettings:
    if not reader.serves(Role.DIALING):
        return pbx.model_copy(update={"password": None})
    if not (pbx.password or pbx.password_env or pbx.password_file):
        reader.problems.append(f"{where}.password: is missing; give password_env or password_file")
    changes = _password_of(pbx, where, reader)
    if pbx.ca_file:
        changes["ca_file"] = reader.place(pbx.ca_file)
        if problem := unreadable(changes["ca_file"]):
            told = f"{where}.ca_file: {pbx.ca_file} {problem}; give the PBX's certificate in PEM form"
            reader.problems.append(told)
    return pbx.model_copy(update=changes)


def _flower_with_secrets(flower: FlowerSettings, reader: SecretReader) -> FlowerSettings:
    if not reader.serves(Role.FLOWER):
        return flower.model_copy(update={"password": None})
    changes = _password_of(flower, "flower", reader)
    if flower.database is not None:
        changes["database"] = reader.folder / flower.database
    return flower.model_copy(update=changes)


def _password_of(part: PbxSettings | FlowerSettings, where: str, reader: SecretReader) -> dict[str, Any]:
    secret = reader.read(part.password_env, part.password_file, f"{where}.password")
    return {"password": SecretStr(secret)} if secret else {}


def _with_certificate(api: ApiSettings, reader: SecretReader) -> ApiSettings:
    if not reader.serves(Role.INTAKE):
        return api
    changes = {}
    for name in ("tls_cert", "tls_key"):
        file: Path | None = getattr(api, name)
        if file is not None:
            changes[name] = reader.place(file)
            if problem := unreadable(changes[name]):
                reader.problems.append(f"api.{name}: {file} {problem}; give one in PEM form")
    return api.model_copy(update=changes)


def _source_with_secrets(table: dict[str, Any], where: str, reader: SecretReader) -> dict[str, Any]:
    if reader.serves(Role.INTAKE) or (reader.serves(Role.TELLING) and tells(table)):
        return _with_secrets(table, where, reader)
    return table  # it still says who it is, and whether it tells its CRM


def _with_secrets(table: dict[str, Any], where: str, reader: SecretReader) -> dict[str, Any]:
    """Return a table in which every `NAME_env` and `NAME_file` became `NAME`, however deep it stands."""
    resolved: dict[str, Any] = {}
    for name, value in table.items():
        plain, _, form = name.rpartition("_")
        if name in _NO_SECRETS_IN:
            resolved[name] = value
        elif isinstance(value, dict):
            resolved[name] = _with_secrets(value, f"{where}.{name}", reader)
        elif form in ("env", "file") and plain and isinstance(value, str) and name not in _REAL_FILES:
            if plain in table:
                reader.problems.append(f"{where}.{plain}: is given twice; give either {plain} or {name}")
            variable, file = (value, None) if form == "env" else (None, Path(value))
            secret = reader.read(variable, file, f"{where}.{plain}")
            if secret is not None:
                resolved[plain] = secret
        else:
            resolved[name] = value
    return resolved


def _endpoint_with_secrets(endpoint: EndpointSettings, where: str, reader: SecretReader) -> EndpointSettings:
    if not reader.serves(Role.TELLING):
        return endpoint.model_copy(update={"secret": ()})
    named = [(variable, None) for variable in endpoint.secret_env]
    files = [(None, file) for file in endpoint.secret_file]
    found = [reader.read(*place, f"{where}.secret") for place in (*named, *files)]
    for secret in filter(None, found):
        try:
            signing_key(secret)
        except ValueError as wrong:
            reader.problems.append(f"{where}.secret: {wrong}")
    if not found and not endpoint.secret:
        reader.problems.append(f"{where}.secret: is missing; give secret_env or secret_file")
    secrets = (*endpoint.secret, *(SecretStr(secret) for secret in found if secret))
    return _with_ca_file(endpoint.model_copy(update={"secret": secrets}), where, reader)


def _with_ca_files(webhooks: WebhooksSettings, reader: SecretReader) -> WebhooksSettings:
    if not reader.serves(Role.TELLING):
        return webhooks
    sources = {
        name: _with_ca_file(route, f"webhooks.sources.{name}", reader) for name, route in webhooks.sources.items()
    }
    return webhooks.model_copy(update={"sources": sources})


_RouteT = TypeVar("_RouteT", bound=Route)


def _with_ca_file(route: _RouteT, where: str, reader: SecretReader) -> _RouteT:
    if route.ca_file is None:
        return route
    file = reader.place(route.ca_file)
    if problem := unreadable(file):
        told = f"{where}.ca_file: {route.ca_file} {problem}; give a certificate in PEM form"
        reader.problems.append(told)
    return route.model_copy(update={"ca_file": file})


def _holds_secret(content: dict[str, Any]) -> bool:
    """Whether a settings file has a secret in it, and not only where one is."""
    addresses = (content.get(name) for name in ("redis_url", "result_backend"))
    # Between the user's name and the host; a user alone is no secret.
    if any(re.search(r"://[^@/]*:[^@]*@", url) for url in addresses if isinstance(url, str)):
        return True
    parts = [part for kind in ("pbx", "webhook", "source") for part in content.get(kind, {}).values()]
    return any(_names_secret(part) for part in (*parts, content.get("flower", {})))


def _names_secret(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    own = (item for item in part.items() if item[0] not in _NO_SECRETS_IN)
    return any(name in _SECRET_NAMES or _names_secret(value) for name, value in own)


def _sentence(problem: Any) -> str:
    where = ".".join(str(step) for step in problem["loc"] if step != "[key]")
    if problem["type"] == "missing":
        return f"{where}: is missing; set it in the settings file or the environment"
    if problem["type"] == "extra_forbidden":
        return f"{where}: is not a setting; look for a slip of the pen"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message

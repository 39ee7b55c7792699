"""One frozen Settings, read once at start from a TOML file and the environment."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.errors import ConfigurationError
from worker.fields import LONGEST_NAME
from worker.jobs import PBX_NAME
from worker.redis_address import RedisAddress
from worker.secret_reader import EVERY_ROLE, Role, SecretReader
from worker.settings import addresses, secrets
from worker.settings.dialing import (
    BreakerSettings,
    LookSettings,
    ReplicationSettings,
    RetrySettings,
    TimeLimits,
)
from worker.settings.pbx import PbxSettings
from worker.settings.services import (
    ApiSettings,
    FlowerSettings,
    MetricsSettings,
    TracingSettings,
    WorkerSettings,
)
from worker.webhooks.endpoints import EndpointSettings, WebhooksSettings

CONFIG_VARIABLE = "OUTDIAL_CONFIG"
DEFAULT_CONFIG = Path("outdial.toml")
MetadataName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


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
    index_metadata: Annotated[tuple[MetadataName, ...], Field(max_length=8)] = ()
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
        if url is not None and (field.field_name == "redis_url" or url.startswith(addresses.IN_REDIS)):
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
        secret_in_file = [file] if file and secrets.holds_secret(content) else []
        reader = SecretReader(file.parent if file else Path.cwd(), roles)
        if "redis_url" not in content and (shared := os.environ.get("REDIS_URL")):
            content["redis_url"] = shared
        passwords = addresses.move_in(content, reader)
        try:
            settings = cls(**content)
        except ValidationError as refused:
            told = [_sentence(problem) for problem in refused.errors()]
            raise ConfigurationError(reader.problems + told) from None
        changes = settings._with_passwords(passwords, reader.problems) | settings._with_secrets(reader)
        reader.problems += addresses.missing_tls_files(settings._addresses())
        if reader.problems:
            raise ConfigurationError(reader.problems)
        resolved = settings.model_copy(update=changes)
        resolved._secret_files = (*reader.files, *secret_in_file)  # noqa: SLF001
        return resolved

    def _with_passwords(self, passwords: dict[str, str], problems: list[str]) -> dict[str, Any]:
        urls = {"redis_url": self.redis_url, "result_backend": self.result_backend}
        return dict(addresses.with_passwords(urls, passwords, problems))

    def _addresses(self) -> dict[str, RedisAddress | None]:
        of_results = self.result_address if self.result_backend else None
        return {"redis_url": self.redis_address, "result_backend": of_results}

    def _with_secrets(self, reader: SecretReader) -> dict[str, Any]:
        return {
            "pbx": {name: secrets.pbx_with_secrets(pbx, f"pbx.{name}", reader) for name, pbx in self.pbx.items()},
            "flower": secrets.flower_with_secrets(self.flower, reader),
            "source": {
                name: secrets.source_with_secrets(table, f"source.{name}", reader)
                for name, table in self.source.items()
            },
            "api": secrets.api_with_certificate(self.api, reader),
            "webhook": {
                name: secrets.endpoint_with_secrets(endpoint, f"webhook.{name}", reader)
                for name, endpoint in self.webhook.items()
            },
            "webhooks": secrets.webhooks_with_certificates(self.webhooks, reader),
        }

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
        return RedisAddress.parse(url) if url.startswith(addresses.IN_REDIS) else None

    @property
    def result_database(self) -> int | None:
        """Database of the results on the jobs' own Redis; None if another server or another backend has them."""
        results = self.result_address
        return results.database if results and results.is_beside(self.redis_address) else None

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


def _sentence(problem: Any) -> str:
    where = ".".join(str(step) for step in problem["loc"] if step != "[key]")
    if problem["type"] == "missing":
        return f"{where}: is missing; set it in the settings file or the environment"
    if problem["type"] == "extra_forbidden":
        return f"{where}: is not a setting; look for a slip of the pen"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message

"""The sections of what runs and listens: workers, Flower, the HTTP intake, metrics and traces."""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from worker.settings.origins import EXAMPLE, checked_origin, is_protected
from worker.settings.part import Part, Port, PositiveSeconds


class WorkerSettings(Part):
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


class FlowerSettings(Part):
    """
    Where Flower listens, who may look, and what it keeps; without a password one is made up and shown at start.

    `url_prefix` is the path under which a proxy shows it. The last `max_tasks` jobs are kept in memory, and in the
    file `database`, if there is one, every `save_every_s` and at its end.
    """

    address: str = "127.0.0.1"
    port: Port = 5555
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


class ApiSettings(Part):
    """
    Where the HTTP intake listens, and what it takes.

    `public_url` is how CRMs see it, without a path: what they sign holds it, so nobody guesses it from a request.
    TLS is the proxy's in front, or by `tls_cert` and `tls_key` (PEM). `max_body_bytes` bounds every body but that
    of a batch. An `Idempotency-Key` is remembered for `idempotency_s`. Web pages of `cors_origins` may use `/v1`.
    """

    address: str = "127.0.0.1"
    port: Port = 8080
    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")] | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 2**20)] = 2**20
    max_batch_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 64 * 2**20
    idempotency_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 86400
    cors_origins: Annotated[tuple[str, ...], Field(max_length=50)] = ()

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _is_a_list(cls, origins: Any) -> Any:
        if isinstance(origins, str):
            raise ValueError(f"is not a list; give one, such as [{EXAMPLE!r}]")  # noqa: TRY004 - pydantic reads it
        return origins

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(checked_origin, origins))

    @property
    def unprotected_origins(self) -> tuple[str, ...]:
        """Those of `cors_origins` whose pages can be changed on their way to the browser."""
        return tuple(origin for origin in self.cors_origins if not is_protected(origin))

    @model_validator(mode="after")
    def _key_has_its_certificate(self) -> Self:
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("tls_key: is of no use without tls_cert; give both, or a tls_cert that holds the key")
        return self


class MetricsSettings(Part):
    """
    Where metrics are told: `port` by each supervisor of workers, `api_port` by the HTTP intake; 0: nowhere.

    Both at `address` and without a password: keep them off public addresses.
    """

    address: str = "127.0.0.1"
    port: Port = 0
    api_port: Port = 0

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if self.port and self.port == self.api_port:
            raise ValueError(
                f"api_port: {self.api_port} is the port of the workers' metrics too; give another, or 0 for none"
            )
        return self


class TracingSettings(Part):
    """
    Where traces of jobs are sent: an OTLP collector, by HTTP; without `endpoint` nothing is traced.

    `sample_ratio` is the share of jobs that are traced, from 0 to 1; a caller that sends a `traceparent` gets no
    more than that. `service_name` is what the collector shows.
    """

    endpoint: Annotated[str, Field(pattern=r"^https?://[^?#@\s]+$")] | None = None
    service_name: Annotated[str, Field(min_length=1, max_length=100)] = "outdial"
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1

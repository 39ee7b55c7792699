"""The section `[pbx.NAME]`: one telephone system."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from worker.errors import ConfigurationError
from worker.settings.numbers import NumberRules
from worker.settings.part import Part, Seconds

ApiName = Literal["yeastar-s-v1.0", "yeastar-s-v1.1", "yeastar-s-v2.0"]


class PbxSettings(Part):
    """
    One PBX: where it is, how to log in, how much it can take.

    `calls_per_second` and `burst` are a promise over all workers and hosts: at the PBX any sliding second holds at
    most `calls_per_second + burst - 1` calls (see `docs/adr/0004-pacing.md`). `open_call_s` is how long a placed
    call keeps its line and extension where no event tells its end; `extension_rest_s` comes on top for the
    extension. Without `numbers` a number is dialed as it comes, without punctuation.
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

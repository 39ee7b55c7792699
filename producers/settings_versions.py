"""Sentences about which process has which settings; none where all have the same."""

from collections.abc import Iterator, Sequence

from worker.hopper import SettingsReport, by_version

_MOST_NAMED = 5


def spread(reports: Sequence[SettingsReport]) -> Iterator[str]:
    """Yield a sentence for each version if there are several, and for each limit that is not the one in force."""
    versions = by_version(reports)
    if len(versions) > 1:
        for version, names in sorted(versions.items(), key=lambda item: len(item[1])):
            yield f"Settings {version}: {_some(names)}."
    for report in reports:
        for sentence in report.differs:
            yield f"{report.process}: {sentence}."


def version_lines(reports: Sequence[SettingsReport], here: str) -> Iterator[str]:
    """
    Yield what `outdial lanes` shows below its table.

    Args:
        reports: Of all processes that live.
        here: The version of the settings that this command has read.
    """
    versions = {report.version for report in reports}
    if len(versions) == 1:
        [version] = versions
        there = f"Settings {version} in {len(reports)} process{'es' if len(reports) > 1 else ''}"
        yield f"{there}." if version == here else f"{there}; those read here are {here}: `outdial reload`."
    yield from spread(reports)
    for report in reports:
        if report.refused:
            yield f"{report.process} refused the settings that it read last: {report.refused}."
        if report.needs_restart:
            yield f"{report.process} needs a restart for: {', '.join(report.needs_restart)}."


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")

"""Licences of installed packages, as these declare them: those that ask for no more than a notice."""

import re
from collections.abc import Iterable
from importlib.metadata import Distribution

# Words of their SPDX names, classifiers and as people write them; all ask for a notice and no more. MPL 2.0 asks
# for the source of its own files where those are changed, which we do not do.
_ALLOWED = (
    *("0bsd", "apache", "bsd", "cc0", "isc", "mit", "psf", "unlicense", "zlib"),
    *("mpl-2.0", "mozilla public license 2.0", "python software foundation license"),
)
_WORDS = [re.compile(rf"(?<![a-z]){re.escape(word)}(?![a-z])") for word in _ALLOWED]
# Says how free it is, not what it is.
_NO_LICENCE = ("DFSG approved", "OSI Approved")
# Whole texts in the place of a name begin with one.
_NAME_CHARACTERS = 60


def licence_of(distribution: Distribution) -> str:
    """Return what a package says its licence is: an SPDX expression, its classifiers, or what it calls it."""
    about = distribution.metadata
    if expression := about.get("License-Expression"):
        return str(expression)
    said = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or [] if line.startswith("License ::")
    ]
    if names := [name for name in said if name not in _NO_LICENCE]:
        # Behind a name its short form: Mozilla Public License 2.0 (MPL 2.0).
        return " OR ".join(re.sub(r"\s*\([^()]*\)$", "", name) for name in names)
    return str(about.get("License") or "").strip().partition("\n")[0][:_NAME_CHARACTERS]


def is_allowed(licence: str) -> bool:
    """
    Whether a licence may be used: of alternatives one must be allowed, of parts all.

    An expression with parentheses, or an exception, is nobody's to guess: a person looks at it.
    """
    alternatives = re.split(r"\s+OR\s+", licence)
    return any(all(map(_is_known, re.split(r"\s+AND\s+", one))) for one in alternatives)


def _is_known(name: str) -> bool:
    lower = name.lower()
    if re.search(r"gpl|gnu|affero|sspl|commons clause|[()]|\bwith\b", lower):
        return False
    return any(word.search(lower) for word in _WORDS)


def licence_problems(distributions: Iterable[Distribution]) -> list[str]:
    """Return a sentence for each package whose licence is not known to be one that may be used."""
    told = ((each.metadata["Name"], licence_of(each)) for each in distributions)
    advice = "look at it, and add it to ops/audit/licences.py or do without"
    return [
        f"{name}: its licence is {said or 'not said'}; {advice}" for name, said in told if not is_allowed(said)
    ]

"""Making sentences that quote somebody's input fit for a screen or a log."""

import re

_LONGEST = 400
# Seven digits or more, perhaps with separators, that begin neither a date nor a job id.
_NUMBER = re.compile(
    r"(?<![0-9a-fA-F.])(?<![0-9a-fA-F]-)(?![0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9a-fA-F]{8}-[0-9a-fA-F]{4}-)"
    r"[0-9](?:[ ./()-]{0,2}[0-9]){6,}"
)
_DIGIT_BEFORE_TWO = re.compile(r"[0-9](?=.*[0-9].*[0-9])")


def masked(sentence: str) -> str:
    """
    Return *sentence* fit to be shown, whatever it quotes.

    What looks like a telephone number keeps its last two digits only (somebody swapped two columns); what a
    terminal would take for a command is written out; the rest is cut after 400 characters.
    """
    plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in sentence[: 2 * _LONGEST])
    plain = _NUMBER.sub(lambda found: _DIGIT_BEFORE_TWO.sub("x", found.group()), plain)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."

"""Making sentences that quote somebody's input fit for a screen or a log."""

from worker.masking import without_numbers

_LONGEST = 400


def masked(sentence: str) -> str:
    """
    Return *sentence* fit to be shown, whatever it quotes.

    What looks like a telephone number keeps its last two digits only (somebody swapped two columns); what a
    terminal would take for a command is written out; the rest is cut after 400 characters.
    """
    plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in sentence[: 2 * _LONGEST])
    plain = without_numbers(plain)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."

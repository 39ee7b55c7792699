"""Telephone numbers as people and programs write them: strategies for Hypothesis, of reserved ranges alone."""

from urllib.parse import quote

from hypothesis import strategies as st

# (country code, trunk prefix, groups): +1 202 555 01xx, +44 20 7946 0xxx.
_last = st.integers(0, 99).map(lambda n: f"{n:02}")
_us = _last.map(lambda last: ("1", "", ("202", "555", f"01{last}")))
_gb = st.integers(0, 999).map(lambda n: ("44", "0", ("20", "7946", f"0{n:03}")))
_PUNCTUATION = ["", " ", "-", ".", "/", " - ", "\u00a0", "\u202f", "\u2011", "\u2013"]
# ASCII, Arabic-Indic and full-width digits.
_DIGITS = ["".join(chr(zero + n) for n in range(10)) for zero in (0x30, 0x660, 0xFF10)]


def _bytes(text: str) -> str:
    return repr(text.encode())


# As it is, and as programs show it.
_FORMS = [str, repr, quote, _bytes]


@st.composite
def written_numbers(draw: st.DrawFn) -> tuple[str, str]:
    """Return a number as it is written, and the same as its digits in ASCII alone."""
    code, trunk, groups = draw(st.one_of(_us, _gb))
    between = draw(st.sampled_from(_PUNCTUATION))
    head = draw(
        st.sampled_from([f"+{code}{between}", f"00{code}{between}", f"{code}{between}", trunk, "tel:+" + code])
    )
    brackets = draw(st.booleans()) and not head.startswith("tel:")
    first = f"({groups[0]}) " if brackets else groups[0] + between
    plain = head + first + between.join(groups[1:])
    digits = "".join(char for char in plain if char in "0123456789")
    form = draw(st.sampled_from(_FORMS))
    if form is not quote and form is not _bytes:  # these have ASCII alone
        script = draw(st.sampled_from(_DIGITS))
        plain = plain.translate(str.maketrans("0123456789", script))
    return form(plain), digits


# What stands around a number in a sentence, and takes no part in it.
sides = st.sampled_from(
    ["", " ", "call ", "x=", "'", '"', "[", "outgoing:", "e", "d", "\n", "{'a': '", ", ", "->"]
)

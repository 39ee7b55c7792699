"""Why a telephone number is refused: the error, its codes, and sentences that hide the number."""

import unicodedata

from worker.errors import InputRefused
from worker.fields import shown

INVALID = "invalid_number"
EMERGENCY = "emergency_number"
PREMIUM = "premium_number"
COUNTRY = "country_not_allowed"
SERVICE_CODE = "service_code"

_LONGEST_SHOWN = 100


class NumberRefused(InputRefused):
    """
    The number cannot or must not be dialed.

    Args:
        problems: One sentence, which holds no more of the number than its last two digits.
        code: invalid_number, emergency_number, premium_number, country_not_allowed or service_code.
    """

    def __init__(self, problems: list[str], code: str = INVALID) -> None:
        super().__init__(problems)
        self.code = code


def refused(outto: str, what: str, code: str = INVALID) -> NumberRefused:
    """Return the error for a number; its sentence shows the last two digits: `outto: 'xxx43' is ...`."""
    return NumberRefused([f"outto: {masked_text(outto)} {what}"], code)


def emergency_refused(outto: str) -> NumberRefused:
    """Return the error for a number that reaches an emergency service."""
    return refused(outto, "reaches an emergency service; only a person may dial it", EMERGENCY)


def service_code_refused(outto: str) -> NumberRefused:
    """Return the error for a service code on a PBX whose settings do not allow them."""
    advice = 'service_codes = "allow" in [pbx.NAME.numbers] lets jobs dial such codes'
    return refused(outto, f"is a service code, which can forward or hide calls; {advice}", SERVICE_CODE)


def masked_text(text: str) -> str:
    """Return text in quotes, all its digits but the last two as x: it may be a telephone number."""
    plain = " ".join(text[:_LONGEST_SHOWN].split())
    return shown("outto", "".join(str(unicodedata.decimal(char, char)) for char in plain))

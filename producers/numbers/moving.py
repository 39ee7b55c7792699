"""What another PBX dials for a number that was written for the first one."""

from producers.numbers.door import dialable, reading
from producers.numbers.refusals import COUNTRY, EMERGENCY, PREMIUM, NumberRefused, refused
from worker.settings import NumberRules

_FORBIDDEN = (EMERGENCY, PREMIUM, COUNTRY)
_SAME_EVERYWHERE = ("internal", "service_code")
_ADVICE = "enqueue the job again for that PBX"


def number_on(dialed: str, own: NumberRules | None, other: NumberRules | None) -> str:
    """
    Return what to dial on a PBX for what another one dials.

    PBXs with the same rules dial the same. Otherwise the number is read back by the rules that wrote it, and
    counts as understood only if those rules write it in the same way again.

    Args:
        dialed: As the first PBX dials it.
        own: Rules of the first PBX; None where it has none.
        other: Rules of the PBX that is to dial it.

    Raises:
        NumberRefused: If the other PBX must not dial it, or it is not certain which number is meant.
    """
    if own == other:
        _refuse_forbidden(dialed, own)
        return dialed
    if own is None:
        if not dialed.startswith("+") and reading(dialed, other).kind != "internal":
            raise refused(dialed, f"was written for a PBX without number rules and without +; {_ADVICE}")
        return dialable(dialed, other)
    meant = reading(_without_line(dialed, own), own)
    if meant.kind in _SAME_EVERYWHERE and reading(dialed, other).dialed == dialed:
        return dialed
    if meant.international is None or meant.dialed != dialed:
        raise refused(dialed, f"cannot be read back with certainty from what its PBX dials; {_ADVICE}")
    if other is None:
        raise refused(dialed, "would go to a PBX without number rules; add [pbx.NAME.numbers] to its settings")
    return dialable(meant.international, other)


def _refuse_forbidden(dialed: str, rules: NumberRules | None) -> None:
    """Refuse what the rules do not allow any more; what cannot be read back was allowed, and stays."""
    try:
        dialable(_without_line(dialed, rules) if rules else dialed, rules)
    except NumberRefused as problem:
        if problem.code in _FORBIDDEN:
            raise


def _without_line(dialed: str, rules: NumberRules) -> str:
    is_outside = len(dialed) > rules.internal_digits
    return dialed.removeprefix(rules.outside_line) if is_outside else dialed

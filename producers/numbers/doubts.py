"""What the punctuation and the length of a number leave in doubt, and what settles it."""

import re

from producers.numbers import mistakes
from producers.numbers.grammar import Written
from producers.numbers.refusals import refused

# One number for certain: too short for two, or as long as national numbers are, and not 00, 010 or 011 in front.
_BEYOND_DOUBT = re.compile("[1-9][0-9]{0,9}|0(?:[2-9]|1[2-9])[0-9]{0,11}")
# The longest national numbers have 13 digits and a trunk prefix.
_LONGEST_AT_HOME = 14
# Fewer digits than this before the last group are no number yet.
_NEARLY_A_NUMBER, _SURELY_A_NUMBER = 8, 9
# So many are a whole national number without trunk prefix, and so many what follows an area code.
_WHOLE_AT_HOME, _SUBSCRIBER = 10, 7


def is_beyond_doubt(outto: str) -> bool:
    """Return whether text is digits alone that can be dialed as they are; most numbers are decided here."""
    return _BEYOND_DOUBT.fullmatch(outto) is not None


def refuse_guesses(outto: str, number: Written) -> None:
    """
    Return if the digits of a number can be dialed as they are.

    Args:
        outto: As it was written.
        number: What the grammar makes of it.

    Raises:
        NumberRefused: If its digits may be those of two numbers, of a number and an extension, or of a number with
            a trunk prefix that is dialed at home only.
    """
    if problem := form_problem(number) or _digits_problem(number):
        raise refused(outto, problem)


def form_problem(number: Written) -> str:
    """Return what its punctuation makes doubtful about a number, as the end of a sentence; empty if nothing."""
    if not number.groups:
        return ""
    if number.brackets and without_home_zero(number):
        return mistakes.HOME_PREFIX.format(0)
    return mistakes.TWO_NUMBERS if looks_like_two(number) else tail_problem(number, _international(number))


def without_home_zero(number: Written) -> str:
    """Return the digits without a (0) that stands behind others; empty where there is none."""
    zeros = [at for at in number.brackets if at and not number.groups[at].strip("0")]
    if not zeros:
        return ""
    plus = "+" if number.is_international else ""
    return plus + "".join(group for at, group in enumerate(number.groups) if at not in zeros)


def looks_like_two(number: Written) -> bool:
    """Return whether the digits fall into halves, or all into groups, that begin alike: 41000 41001."""
    groups = number.groups
    if len(groups) < 2:
        return False
    if _begin_alike(groups) and (len(groups[0]) > 2 or len(groups) == 2):
        return True
    if not number.is_international and _has_equal_halves([len(group) for group in groups]):
        return True
    whole = "".join(groups)
    half = len(whole) // 2
    if not _begin_alike([whole[:half], whole[half:]]):
        return False
    return half in {sum(map(len, groups[:at])) for at in range(1, len(groups))}


def tail_problem(number: Written, international: str) -> str:
    """
    Return why the last group of digits may not belong to the number, as the end of a sentence; empty if it does.

    It may be an extension, a direct-dialing suffix or the end of a range.

    Args:
        number: As it was written.
        international: Country code and number, as far as they are known; else empty.
    """
    mark = number.marks[-1] if len(number.groups) > 1 else ""
    if mark not in (" ", "-", "."):
        return ""
    tail, is_marked = number.groups[-1], mark != " "
    is_short = is_marked and _is_short(number)
    if not international:
        is_tail = _stands_behind_a_number(number, is_marked=is_marked) or _stands_behind_another_tail(number)
        return mistakes.TAIL if is_short or (is_tail and (is_marked or not _may_go_abroad(number))) else ""
    # The library takes 75 ms to import, which few numbers of a PBX without rules need.
    from producers.numbers.international import goes_on_behind_a_number, has_suffix  # noqa: PLC0415

    if not (is_short or goes_on_behind_a_number(international, tail, sure=is_marked)):
        return ""
    may_be_suffix = mark == "-" or len(set(number.marks[1:])) == 1
    is_suffix = may_be_suffix and not _ends_a_range(international, tail) and has_suffix(international, tail)
    return "" if is_suffix else mistakes.TAIL


def _begin_alike(numbers: list[str]) -> bool:
    first, length = numbers[0], len(numbers[0])
    if len(numbers[-1]) != length:
        return False  # as of most numbers, and soon
    shared = length - 1 if length <= 5 else length - 3
    start = first[:shared]
    return shared > 0 and all(len(number) == length and number.startswith(start) for number in numbers)


def _is_short(number: Written) -> bool:
    """Whether the last group has fewer digits than the last group of a number has."""
    length, before = len(number.groups[-1]), len(number.groups[-2])
    return length == 1 or (length <= 3 and length < before >= 4)


def _stands_behind_a_number(number: Written, *, is_marked: bool) -> bool:
    """Whether what stands before the last group is long enough for a number."""
    *earlier, last = number.groups
    before, group = sum(map(len, earlier)), len(earlier[-1])
    if before >= _WHOLE_AT_HOME + (number.digits[0] == "0" and not is_marked) or group >= _SURELY_A_NUMBER:
        return True
    # Brazil and China write 91234-5678 and 1234-5678 behind an area code of up to four digits.
    if not is_marked or (len(last) == 4 and group in (4, 5)):
        return False
    differs = len(number.marks) < 3 or number.marks[-1] != number.marks[-2]
    return group >= _SUBSCRIBER or (differs and before >= _NEARLY_A_NUMBER)


def _stands_behind_another_tail(number: Written) -> bool:
    """Whether the last two groups are short, and the one before them is no area code: 030 231250-10-20."""
    *earlier, other, last = map(len, number.groups)
    if not earlier or earlier[-1] < 5 or max(other, last) > 3:
        return False
    return len(earlier) > 1 or number.digits[0] != "0"


def _has_equal_halves(lengths: list[int]) -> bool:
    """Whether groups have the lengths of two numbers: 123 456, 2001675 6123456, 200-1675 200-9193."""
    half, is_odd = divmod(len(lengths), 2)
    if is_odd or lengths[:half] != lengths[half:]:
        return False
    if half == 1:
        return lengths[0] == 3 or lengths[0] >= 6
    return sum(lengths) >= 12 and max(lengths) > 2


def _ends_a_range(digits: str, tail: str) -> bool:
    """Whether digits may name the first and the last of several numbers: 10-22, but not 50-22."""
    return digits.removesuffix(tail)[-len(tail) :] < tail


def _international(number: Written) -> str:
    """Return country code and number where + or a usual prefix stands before them; else an empty text."""
    if number.is_international:
        return number.digits[1:]
    if not number.digits.startswith(("00", "01", "81")):
        return ""
    from producers.numbers.international import behind_a_prefix  # noqa: PLC0415

    return behind_a_prefix(number.digits)


def _may_go_abroad(number: Written) -> bool:
    from producers.numbers.international import fits_abroad, hides_home_zero  # noqa: PLC0415

    return fits_abroad(number.digits) or hides_home_zero(number.digits)


def _digits_problem(number: Written) -> str:
    digits = number.digits
    if is_beyond_doubt(digits):
        return ""
    from producers.numbers import international  # noqa: PLC0415

    if number.is_international:
        return international.problem_of(digits[1:])
    if international.hides_home_zero(digits):
        return mistakes.HOME_PREFIX.format(0)
    longest = _LONGEST_AT_HOME if digits[0] == "0" else _LONGEST_AT_HOME - 1
    return mistakes.TOO_LONG if len(digits) > longest and not international.fits_abroad(digits) else ""

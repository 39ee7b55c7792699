"""What is taken for a callid, and what is the number by mistake."""

from producers.commands.resolving import is_the_number


def test_a_number_given_for_a_callid_is_noticed() -> None:
    for callid in ("0901234567", "0901-234-567", "(0)901.234.567", "901234567", "00840901234567"):
        assert is_the_number(callid, "0901234567"), callid
    for callid in ("1495710387.333", "1495710387.4567", "4567", "a-0901234567", "x"):
        assert not is_the_number(callid, "0901234567"), callid
    assert is_the_number("41000", "41000")
    assert not is_the_number("1495710387.41000", "41000")

"""Keys of rows that bring none: the same file again is the same jobs, and two equal rows are two."""

from hypothesis import given
from hypothesis import strategies as st

from producers.row_keys import RowKeys
from worker.jobs import DialJob

ROW = {"extid": "1001", "outto": "41000", "metadata": {"a": "1", "b": "2"}}


def key_of(**changes: object) -> str:
    return RowKeys().key_for(DialJob.parse({**ROW, **changes}))


def test_a_row_said_in_other_words_has_the_same_key() -> None:
    same = {
        "extid": 1001,
        "autoanswer": "No",
        "priority": "NORMAL",
        "on_unknown": "hold",
        "pbx": None,
        "metadata": {"b": "2", "a": "1"},
    }
    assert key_of(**same) == key_of()


def test_one_instant_is_one_key_whatever_its_offset() -> None:
    assert key_of(not_before="2026-11-23T09:00:00Z") == key_of(not_before="2026-11-23T16:00:00+07:00")


def test_a_row_that_says_anything_else_has_another_key() -> None:
    others = [
        key_of(extid="1002"),
        key_of(outto="41001"),
        key_of(autoanswer="yes"),
        key_of(pbx="hq"),
        key_of(priority="urgent"),
        key_of(not_before="2026-11-23T09:00:00Z"),
        key_of(expires_at="2026-11-23T09:00:00Z"),
        key_of(on_unknown="redial"),
        key_of(metadata={"a": "1"}),
    ]
    assert len({key_of(), *others}) == len(others) + 1
    # A field added to the contract must be in the list above: the key takes all of them.
    assert len(others) == len(DialJob.model_fields) - 1


def test_equal_rows_of_one_file_are_counted() -> None:
    keys, job = RowKeys(), DialJob.parse(ROW)
    assert len({keys.key_for(job) for _ in range(100)}) == 100


@given(
    st.lists(st.integers(0, 5), max_size=30).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows)))
)
def test_the_order_of_rows_does_not_matter(orders: tuple[list[int], list[int]]) -> None:
    first, second = (
        {keys.key_for(DialJob.parse({**ROW, "outto": number})) for number in rows}
        for rows, keys in zip(orders, (RowKeys(), RowKeys()), strict=True)
    )
    assert first == second
    assert len(first) == len(orders[0])


def test_a_key_is_short_and_does_not_show_the_number() -> None:
    key = key_of(outto="0901234567")
    assert len(key) < 50
    assert "0901234567" not in key


def test_keys_stay_as_they_are_for_a_file_is_imported_again_after_an_upgrade() -> None:
    assert key_of() == "row:035edf2347bb9c0742f272d7ff38a255:1"

"""What holds for every delivery of every CRM: it is authentic, and repeating it wishes for nothing new."""

from pathlib import Path

import pytest

from tests.unit.producers.crm.deliveries import adapter_of, delivery_of, fixtures


def name_of(fixture: Path) -> str:
    return f"{fixture.parent.name}/{fixture.stem}"


@pytest.mark.parametrize("fixture", fixtures(), ids=name_of)
def test_the_same_delivery_again_has_the_same_dedupe_values(fixture: Path) -> None:
    first = adapter_of(fixture).read(delivery_of(fixture))
    assert adapter_of(fixture).read(delivery_of(fixture)) == first
    assert all(wish.dedupe for wish in first)


@pytest.mark.parametrize("again", [file for file in fixtures() if ".again" in file.name], ids=name_of)
def test_a_delivery_repeated_with_changes_has_the_same_dedupe_values(again: Path) -> None:
    first = again.with_name(again.name.replace(".again", ""))
    wishes = adapter_of(first).read(delivery_of(first))
    assert [wish.dedupe for wish in adapter_of(again).read(delivery_of(again))] == [wish.dedupe for wish in wishes]

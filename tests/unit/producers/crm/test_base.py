"""What every adapter has without saying it, and what none can leave out."""

from collections.abc import Sequence

import pytest

from producers.crm.base import Adapter, Delivery, NotAuthentic, SourceSettings, Wish
from worker.jobs import DialResult

RESULT = DialResult.model_validate(
    {
        "job_id": "j",
        "state": "placed",
        "pbx": "hq",
        "extid": "1002",
        "attempts": 1,
        "enqueued_at": "2026-11-23T09:51:02Z",
        "finished_at": "2026-11-23T09:51:03Z",
    }
)
DELIVERY = Delivery("POST", "https://outdial.example/hooks/crm", {}, b"")


class Smallest(Adapter):
    name = "crm"
    settings = SourceSettings(kind="smallest")

    def check(self, delivery: Delivery) -> None:
        if delivery.token != "made-up":
            raise NotAuthentic("the token is wrong")

    def wishes(self, delivery: Delivery) -> Sequence[Wish]:
        return [Wish(delivery.body.decode(), "41000")]


def test_an_adapter_that_checks_and_reads_has_answers_for_all_else() -> None:
    adapter = Smallest()
    assert adapter.answer([]).status == 200
    assert adapter.result_call(RESULT, seq=1) is None
    assert (adapter.passed_over(DELIVERY), adapter.warnings()) == ((), ())
    with pytest.raises(NotAuthentic):
        adapter.read(DELIVERY)


@pytest.mark.parametrize("missing", ["check", "wishes"])
def test_an_adapter_that_forgot_to_check_or_read_cannot_be_made(missing: str) -> None:
    members = {name: member for name, member in vars(Smallest).items() if name in {"check", "wishes"} - {missing}}
    with pytest.raises(TypeError, match=missing):
        type("Forgetful", (Adapter,), members)()

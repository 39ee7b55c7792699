"""What every adapter has without saying it, and what none can leave out."""

from collections.abc import Sequence
from typing import Any

import pytest

from producers.crm.base import Adapter, Delivery, NotAuthentic, SourceSettings, Wish
from producers.crm.registry import adapter, kinds
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
    smallest = Smallest()
    assert smallest.answer([]).status == 200
    assert smallest.result_call(RESULT, seq=1) is None
    assert (smallest.passed_over(DELIVERY), smallest.warnings()) == ((), ())
    with pytest.raises(NotAuthentic):
        smallest.read(DELIVERY)


@pytest.mark.parametrize("missing", ["check", "wishes"])
def test_an_adapter_that_forgot_to_check_or_read_cannot_be_made(missing: str) -> None:
    members = {name: member for name, member in vars(Smallest).items() if name in {"check", "wishes"} - {missing}}
    with pytest.raises(TypeError, match=missing):
        type("Forgetful", (Adapter,), members)()


def test_every_kind_takes_post_alone_unless_its_settings_name_other_methods() -> None:
    blocks: dict[str, dict[str, Any]] = {
        "generic": {"auth": {"kind": "bearer", "token": "t"}, "map": {"outto": "phone"}},
        "hubspot": {"client_secret": "s"},
        "bitrix24": {"application_token": "t"},
        "salesforce": {"token": "0123456789abcdef", "any_organization": True},
    }
    assert blocks.keys() == set(kinds())
    for kind, block in blocks.items():
        assert adapter("crm", {"kind": kind, **block}).settings.methods == ("POST",)
        with_get = adapter("crm", {"kind": kind, "methods": ["POST", "GET"], **block})
        assert [one for one in with_get.warnings() if one.startswith("methods: has GET, so a link scanner")], kind

"""The generic adapter: expressions of the settings make wishes, answers and calls back."""

import json
from typing import Any

import pytest

from producers.crm.base import Adapter, BadPayload, Delivery, Verdict
from producers.crm.generic import MOST_WISHES
from producers.crm.registry import adapter
from tests.unit.producers.crm.deliveries import FIXTURES, adapter_of, fixture
from worker.jobs import JobState

HEADERS = {"x-user": "77", "content-type": "application/json"}


def source(**block: Any) -> Adapter:
    return adapter("crm", {"kind": "generic", "auth": {"kind": "none"}, "map": {"outto": "phone"}, **block})


def posted(body: Any) -> Delivery:
    return Delivery("POST", "https://outdial.example/hooks/crm", HEADERS, json.dumps(body).encode())


def verdict(state: JobState, *, is_new: bool, name: str = "j") -> Verdict:
    (wish,) = source().wishes(posted({"phone": "1"}))
    why = ("invalid_number", "outto: is missing") if state is JobState.REFUSED else (None, None)
    return Verdict(wish, name, state, is_new, *why)


ACCEPTED = verdict(JobState.WAITING, is_new=True, name="a")
DUPLICATE = verdict(JobState.PLACED, is_new=False, name="d")
REFUSED = verdict(JobState.REFUSED, is_new=True, name="r")


def test_all_that_a_job_has_can_be_mapped() -> None:
    names = ("pbx", "priority", "autoanswer", "not_before", "expires_at", "on_unknown")
    mapping = {name: name for name in names} | {"outto": "to", "extid": "agent.id", "country": "land"}
    mapping |= {"user": "header('X-User')", "metadata": {"deal": ["deal", "root().id"], "none": "nothing"}}
    body = {name: f"the {name}" for name in names} | {"to": 1, "agent": {"id": 1002}, "land": "gb", "id": 8}
    (wish,) = source(map=mapping).wishes(posted(body))
    assert (wish.outto, wish.extid, wish.user, wish.country) == ("1", "1002", "77", "gb")
    assert wish.metadata == {"deal": "8"}
    assert wish.fields == {name: f"the {name}" for name in names}


@pytest.mark.parametrize(("land", "country"), [("Belgium", "Belgium"), ([20, "Belgium"], "Belgium"), ("B1", "B1")])
def test_a_country_is_kept_as_the_crm_writes_it(land: Any, country: str) -> None:
    (wish,) = source(map={"outto": "to", "country": "land"}).wishes(posted({"to": "1", "land": land}))
    assert wish.country == country


@pytest.mark.parametrize("land", ["", None, False])
def test_without_a_country_that_of_the_source_counts(land: Any) -> None:
    (wish,) = source(map={"outto": "to", "country": "land"}).wishes(posted({"to": "1", "land": land}))
    assert wish.country is None


def test_all_numbers_are_kept_in_their_order() -> None:
    block = source(map={"outto": ["phone", "fields(@, 'mobile', 'home')"]})
    (wish,) = block.wishes(posted({"phone": ["", "N/A"], "mobile": " ", "home": "1"}))
    assert wish.numbers == ("N/A", "1")
    (wish,) = block.wishes(posted({"phone": None}))
    assert wish.numbers == ("",)


def test_split_makes_a_wish_of_each_element_that_when_lets_through() -> None:
    block = source(split="people", when="dial", map={"outto": "phone", "metadata": {"list": "root().name"}})
    body = {"name": "L", "people": [{"phone": "1", "dial": True}, {"phone": "2", "dial": False}, {"phone": "3"}]}
    (wish,) = block.wishes(posted(body))
    assert (wish.outto, wish.metadata) == ("1", {"list": "L"})
    assert block.passed_over(posted(body)) == [
        "element 1: when is not so: dial",
        "element 2: when is not so: dial",
    ]


def test_an_array_is_split_by_itself_and_one_element_needs_no_array() -> None:
    assert [wish.outto for wish in source().wishes(posted([{"phone": "1"}, {"phone": "2"}]))] == ["1", "2"]
    assert [wish.outto for wish in source(split="one").wishes(posted({"one": {"phone": "1"}}))] == ["1"]
    assert source(split="none").wishes(posted({"one": 1})) == []
    assert source(split="none").passed_over(posted({"one": 1})) == ["the delivery has no elements; see split"]


@pytest.mark.parametrize("body", [7, "text", None, [{"phone": "1"}] * (MOST_WISHES + 1)])
def test_what_is_no_delivery_is_refused(body: Any) -> None:
    with pytest.raises(BadPayload):
        source().wishes(posted(body))


def test_parts_of_a_dedupe_value_cannot_run_into_each_other() -> None:
    block = source(dedupe=["a", "b"])
    pairs = [("x", "y:z"), ("x:y", "z"), ("x%3Ay", "z"), ("x", "y" * 500), ("x", "y\nz")]
    values = [block.wishes(posted({"a": a, "b": b}))[0].dedupe for a, b in pairs]
    assert values[0] == "x:y:z"
    assert len(set(values)) == len(pairs)
    assert all(len(value) <= 120 and value.isprintable() for value in values)


def test_a_wish_without_its_dedupe_value_is_told_by_its_content() -> None:
    block = source(dedupe=["id", "version"])
    bodies = [{"id": 1, "phone": "1"}, {"id": 1, "phone": "2"}, {"id": 1, "phone": "1", "other": 1}]
    values = [block.wishes(posted(body))[0].dedupe for body in bodies]
    assert len(set(values)) == 3
    assert block.wishes(posted(dict(reversed(bodies[0].items()))))[0].dedupe == values[0]
    assert "1" not in {value.partition("-")[2] for value in values}


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([], 204),
        ([ACCEPTED, DUPLICATE, REFUSED], 201),
        ([DUPLICATE, REFUSED], 208),
        ([REFUSED, REFUSED], 422),
    ],
)
def test_the_answer_goes_by_the_best_that_came_of_a_delivery(verdicts: list[Verdict], status: int) -> None:
    answer = {"accepted": 201, "duplicate": 208, "refused": 422, "nothing": 204}
    assert source(answer=answer).answer(verdicts).status == status
    assert source().answer(verdicts).status == 200


def test_the_answer_names_the_jobs_unless_the_settings_say_another() -> None:
    answer = source().answer([ACCEPTED, REFUSED])
    jobs = json.loads(answer.body)["jobs"]
    assert [(job["id"], job["state"], job["errno"]) for job in jobs] == [
        ("a", "waiting", None),
        ("r", "refused", "invalid_number"),
    ]
    assert json.loads(source(answer={"body": {"id": "{{ jobs[0].id }}"}}).answer([ACCEPTED]).body) == {"id": "a"}
    fixed = source(answer={"body": "<ok/>", "media_type": "text/xml"}).answer([])
    assert (fixed.body, fixed.media_type) == (b"<ok/>", "text/xml")
    assert source(answer={"nothing": 204}).answer([]).body == b""
    assert source(answer={"body": "{}"}).answer([]).media_type == "application/json"
    assert source(answer={"body": "taken"}).answer([]).media_type == "text/plain"


def test_a_source_that_anybody_can_use_is_warned_of() -> None:
    assert "auth" in source().warnings()[0]
    assert source(auth={"kind": "bearer", "token": "t"}).warnings() == ()


def test_nothing_of_a_delivery_is_shown() -> None:
    delivery = fixture("automation/two")
    shown = repr(delivery) + repr(source().wishes(posted({"phone": "+12025550143"})))
    assert "5550143" not in shown
    assert "made-up" not in repr(adapter_of(FIXTURES / "automation" / "two.http").settings)

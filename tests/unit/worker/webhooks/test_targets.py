"""Who hears of what, and that dialing pays nothing where nobody listens."""

from typing import Any

import pytest

from worker.app import build_app
from worker.jobs import DialResult
from worker.settings import Settings
from worker.webhooks.targets import (
    Announcer,
    anybody_listens,
    ports_written,
    routes,
    target_names,
    telling_sources,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://crm.example.com/"


class Recorder:
    """Notes what is announced; a hopper to the announcer."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[tuple[str, list[str]]], dict[str, Any]]] = []

    def announce(self, ends: Any, **how: Any) -> int:
        self.calls.append(([(result.job_id, list(names)) for result, names in ends], how))
        return 0


def settings(**sections: Any) -> Settings:
    return Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0"} | sections)


def result(job_id: str = "j1", state: str = "placed", pbx: str = "hq") -> DialResult:
    moment = "2026-11-23T12:00:00Z"
    fields = {
        "job_id": job_id,
        "state": state,
        "pbx": pbx,
        "extid": "1",
        "enqueued_at": moment,
        "finished_at": moment,
    }
    return DialResult.model_validate(fields)


def announced(made: Settings, *results: DialResult) -> list[tuple[list[tuple[str, list[str]]], dict[str, Any]]]:
    recorder = Recorder()
    Announcer(recorder, made).announce(results)  # type: ignore[arg-type]
    return recorder.calls


def test_where_nobody_listens_nothing_is_asked_of_redis() -> None:
    silent = settings(source={"pd": {"kind": "generic"}})
    assert not anybody_listens(silent)
    assert announced(silent, result()) == []


def test_ends_that_redis_was_asked_to_announce_are_returned() -> None:
    picky = settings(webhook={"crm": {"url": URL, "secret": SECRET, "states": ["failed"]}})
    ends = [result("j1"), result("j2", state="failed")]
    announce = Announcer(Recorder(), picky).announce  # type: ignore[arg-type]
    assert announce(ends[:1]) == set()
    # Both are in one step, so the records of both show it.
    assert announce(ends) == {"j1", "j2"}


def test_where_nobody_wants_this_result_nothing_is_asked_of_redis() -> None:
    picky = settings(webhook={"crm": {"url": URL, "secret": SECRET, "states": ["failed"]}})
    assert announced(picky, result()) == []


@pytest.mark.parametrize(
    ("wanted", "hears"),
    [
        ({}, True),
        ({"states": ["placed", "failed"]}, True),
        ({"states": ["failed"]}, False),
        ({"pbx": ["hq"]}, True),
        ({"pbx": ["branch"]}, False),
        ({"pbx": ["hq"], "states": ["unknown"]}, False),
    ],
)
def test_endpoints_hear_of_the_states_and_pbxs_they_want(wanted: dict[str, Any], hears: bool) -> None:
    made = settings(
        webhook={"all": {"url": URL, "secret": SECRET}, "picky": {"url": URL, "secret": SECRET} | wanted}
    )
    [(ends, _)] = announced(made, result())
    assert ends == [("j1", ["all", "picky"] if hears else ["all"])]


def test_many_results_are_announced_in_steps_that_keep_nobody_from_redis_for_long() -> None:
    made = settings(webhook={"all": {"url": URL, "secret": SECRET}})
    calls = announced(made, *(result(f"j{n}") for n in range(250)))
    assert [len(ends) for ends, _ in calls] == [100, 100, 50]


def test_sources_that_can_call_their_crm_are_targets() -> None:
    made = settings(
        webhook={"crm": {"url": URL, "secret": SECRET}},
        source={
            "pd": {"kind": "generic", "result": {"url": URL}},
            "b24": {"kind": "bitrix24", "rest_url": URL},
            "hs": {"kind": "hubspot", "client_secret": "x"},
        },
        webhooks={"sources": {"b24": {"timeout_s": 3}}},
    )
    assert telling_sources(made) == ["pd", "b24"]
    assert target_names(made) == ["crm", "source:pd", "source:b24"]
    assert routes(made)["source:b24"].timeout_s == 3
    [(_, how)] = announced(made, result())
    assert how["sources"] == ["pd", "b24"]


def test_ports_are_those_that_stand_in_the_settings() -> None:
    block = {
        "rest_url": "https://b24.example.com:8443/rest/1/k3y/",
        "result": {"url": "http://[::1]:8080/x?to=1", "body": {"back": ["https://crm.example.com/a:99"]}},
        "hosts": "https://{{ host }}:25/",
    }
    assert ports_written(block) == (8080, 8443)


def test_each_kind_of_process_knows_its_own_queue_alone() -> None:
    made = settings()
    assert [*build_app(made).amqp.queues] == ["outdial.dial"]
    assert [*build_app(made, queue=made.webhook_queue).amqp.queues] == ["outdial.webhooks"]

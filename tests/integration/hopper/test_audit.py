"""What operators do is recorded by the steps themselves: once, with an author, without numbers and secrets."""

from collections.abc import Callable

import pytest

from tests.integration import clock
from tests.integration.hopper.post import Post
from tests.integration.hopper.stage import API_KEY, Stage
from worker.hopper import ACTS, AuditEntry, Ending, Hopper, Redial


def acts(hopper: Hopper) -> list[tuple[str, str, str, str, dict[str, str]]]:
    return [(one.by, one.act, one.subject, one.reason, one.details) for one in hopper.audit()]


def anna(stage: Stage) -> Hopper:
    return stage.hopper.acting_as("anna@dialer-1")


# --- what is recorded ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "subject"), [(("hq", ""), "hq"), (("hq", "1002"), "hq/1002"), (("*", ""), "*")])
def test_pauses_and_resumes_are_recorded_once(stage: Stage, place: tuple[str, str], subject: str) -> None:
    for _ in range(2):
        anna(stage).pause(*place, reason="why")
    for _ in range(2):
        anna(stage).resume(*place, reason="why not")

    assert acts(stage.hopper) == [
        ("anna@dialer-1", "pause", subject, "why", {}),
        ("anna@dialer-1", "resume", subject, "why not", {}),
    ]


def test_a_cancel_is_recorded_once_and_stays_with_the_job(stage: Stage) -> None:
    claimed, _ = stage.claimed("1002")
    job_id = stage.put()
    reason = "the lead asked not to be called, says the sales department"
    for _ in range(2):
        assert anna(stage).cancel(job_id, reason=reason) == ("cancelled", "cancelled")
    assert anna(stage).cancel(claimed, reason=reason)[0] == "too_late"
    assert anna(stage).cancel("no-such-job", reason=reason)[0] == "gone"

    assert acts(stage.hopper) == [("anna@dialer-1", "cancel", job_id, reason, {"jobs": "1"})]
    record = stage.hopper.record(job_id)
    assert (record["cancelled_by"], record["cancelled_why"]) == ("anna@dialer-1", reason)
    last = stage.hopper.timeline(job_id)[-1]
    assert (last.state, last.who) == ("cancelled", "anna@dialer-1")
    assert reason.startswith(last.reason)


def test_a_cancel_of_many_jobs_is_one_entry(stage: Stage) -> None:
    job_ids = stage.put_each(["1001", "1002", "1003"])
    again = anna(stage).cancel_many([*job_ids, "no-such-job"], reason="wrong list")
    assert again == [("cancelled", "cancelled")] * 3 + [("gone", "")]
    anna(stage).cancel_many(job_ids)
    more = stage.put_each(["1001", "1002"])
    anna(stage).cancel_many(more, subject="state=waiting pbx=hq")

    assert acts(stage.hopper) == [
        ("anna@dialer-1", "cancel", f"{job_ids[0]} and 2 more", "wrong list", {"jobs": "3"}),
        ("anna@dialer-1", "cancel", "state=waiting pbx=hq", "", {"jobs": "2"}),
    ]


@pytest.mark.parametrize("verdict", ["placed", "failed", "redial"])
def test_a_resolution_is_recorded_once(quick: Stage, verdict: str) -> None:
    job_id, _ = quick.unknown()
    for _ in range(2):
        anna(quick).resolve(job_id, verdict, callid="1.1", why="heard so")

    assert acts(quick.hopper) == [("anna@dialer-1", "resolve", job_id, "heard so", {"verdict": verdict})]


def test_a_redial_is_recorded_once(stage: Stage) -> None:
    job_ids = stage.put_each(["1001", "1002"])
    stage.hopper.cancel_many(job_ids, reason="wrong list")
    for _ in range(2):
        anna(stage).redial([Redial(job_id, "hq") for job_id in job_ids], mark="m", why="the right list after all")

    assert acts(stage.hopper)[1:] == [
        ("anna@dialer-1", "redial", f"{job_ids[0]} and 1 more", "the right list after all", {"jobs": "2"})
    ]
    assert "cancelled_by" not in stage.hopper.record(job_ids[0])


def test_a_reload_is_recorded(stage: Stage) -> None:
    stage.hopper.acting_as("anna").ask_reload(reason="a new trunk")
    [entry] = stage.hopper.audit()
    assert (entry.act, entry.subject, entry.by, entry.reason) == ("reload", "*", "anna", "a new trunk")


def test_api_keys_are_recorded_by_id_and_name(stage: Stage) -> None:
    for _ in range(2):
        anna(stage).new_key(API_KEY, "d" * 64)
    for _ in range(2):
        anna(stage).revoke_key(API_KEY.id, reason="leaked")
    anna(stage).revoke_key("no-such-key")

    assert acts(stage.hopper) == [
        ("anna@dialer-1", "create_key", "k1", "", {"name": "crm", "scopes": "enqueue read"}),
        ("anna@dialer-1", "revoke_key", "k1", "leaked", {"name": "crm"}),
    ]


def test_endpoints_and_dead_letters_are_recorded(stage: Stage) -> None:
    post = Post(stage)
    post.announced()
    gone = Ending("dead", error="HTTP 410", blames=True, disable="it says that it is gone (HTTP 410)")
    assert post.end(post.attempt(), gone) == ("dead", True)
    hopper = anna(stage)
    for _ in range(2):
        hopper.enable_endpoint("crm", reason="mended")
    for _ in range(2):
        hopper.replay(post.dead(), reason="mended")
    for _ in range(2):
        hopper.disable_endpoint("crm", why="an operator disabled it", reason="maintenance")

    assert [entry[1:] for entry in acts(stage.hopper) if entry[1] != "cancel"] == [
        ("enable_endpoint", "crm", "mended", {}),
        ("replay", "crm", "mended", {"deliveries": "1"}),
        ("disable_endpoint", "crm", "maintenance", {}),
    ]


def test_numbers_and_secrets_in_a_reason_are_not_kept(stage: Stage) -> None:
    anna(stage).cancel(stage.put(), reason="asked by +44 20 7946 0123, password=hunter2")
    anna(stage).pause(reason="caller 555-0100 555-0101 complained")

    text = str(list(stage.hopper.audit()))
    assert not [secret for secret in ("7946", "hunter2", "0100") if secret in text]


def test_every_act_has_a_name_that_is_listed(stage: Stage) -> None:
    test_pauses_and_resumes_are_recorded_once(stage, ("hq", ""), "hq")
    assert {entry.act for entry in stage.hopper.audit()} <= set(ACTS)


# --- reading -------------------------------------------------------------------------------------------------


def test_entries_come_oldest_first_whatever_the_page(stage: Stage) -> None:
    for number in range(7):
        stage.hopper.pause(f"pbx-{number}")

    for page in (1, 2, 3, 500):
        found = [entry.subject for entry in stage.hopper.audit(page=page)]
        assert found == [f"pbx-{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("wanted", "subjects"),
    [
        (lambda: {"by": "anna@dialer-1"}, ["hq"]),
        (lambda: {"acts": ("resume",)}, ["other"]),
        (lambda: {"acts": ("resume", "pause")}, ["hq", "other", "other"]),
        (lambda: {"since": clock.now() + 60}, []),
        (lambda: {"until": clock.now() - 60}, []),
        (lambda: {"since": clock.now() - 60, "until": clock.now() + 60}, ["hq", "other", "other"]),
    ],
)
def test_entries_are_chosen_by_time_act_and_author(
    stage: Stage, wanted: Callable[[], dict[str, object]], subjects: list[str]
) -> None:
    anna(stage).pause("hq")
    stage.hopper.pause("other")
    stage.hopper.resume("other")

    assert [entry.subject for entry in stage.hopper.audit(**wanted())] == subjects  # type: ignore[arg-type]


def test_the_record_is_bounded(stage: Stage) -> None:
    client, name = stage.hopper.client, stage.hopper.keys.audit
    with client.pipeline(transaction=False) as pipe:
        for number in range(11_000):
            pipe.xadd(name, {"at": "1", "by": "", "act": "pause", "subject": str(number), "reason": ""})
        pipe.execute()

    stage.hopper.pause("hq")

    assert 10_000 <= client.xlen(name) < 10_200
    assert list(stage.hopper.audit(since=2))[-1].subject == "hq"


def test_an_entry_of_somebody_else_is_left_out(stage: Stage) -> None:
    stage.hopper.client.xadd(stage.hopper.keys.audit, {"at": "x", "what": "nonsense"})
    stage.hopper.pause("hq")

    [entry] = stage.hopper.audit()
    assert isinstance(entry, AuditEntry)
    assert entry.subject == "hq"

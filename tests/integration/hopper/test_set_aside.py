"""Notes of what could not be used: for a person to read, and gone when they are old."""

import re

from tests.integration.hopper.stage import Stage, leaks
from worker.health import set_aside_finding
from worker.hopper import SetAside


def test_a_note_says_what_when_and_why(stage: Stage) -> None:
    before = stage.hopper.now()
    stage.hopper.set_aside("message", "a message was not JSON")
    stage.hopper.set_aside("job", "its record has no PBX", job_id="j1")

    newest, oldest = stage.hopper.set_aside_list()

    assert newest == SetAside(newest.at, "job", "j1", "its record has no PBX")
    assert oldest == SetAside(oldest.at, "message", "", "a message was not JSON")
    assert before - 0.001 <= oldest.at <= newest.at <= stage.hopper.now()


def test_a_hundred_notes_are_kept_and_all_are_counted(stage: Stage) -> None:
    for number in range(103):
        stage.hopper.set_aside("message", f"number {number}")
    notes = stage.hopper.set_aside_list()
    assert [note.reason for note in notes] == [f"number {number}" for number in range(102, 2, -1)]
    assert stage.hopper.set_aside_count() == 103


def test_notes_go_by_themselves(stage: Stage) -> None:
    stage.hopper.set_aside("message", "a message was not JSON")
    assert leaks(stage.hopper.client, stage.hopper.keys.namespace) == []


def test_the_doctor_shows_the_newest_and_what_to_do(stage: Stage) -> None:
    assert set_aside_finding(stage.hopper).level == "ok"
    for reason in ("one", "two", "three", "four"):
        stage.hopper.set_aside("message", reason)
    stage.hopper.set_aside("job", "five", job_id="j1")

    finding = set_aside_finding(stage.hopper)

    assert finding.level == "warning"
    assert re.sub(r"\d s ago", "now", finding.text) == (
        "5 could not be used; newest: now a job j1: five; now a message: four; now a message: three"
    )
    assert finding.advice

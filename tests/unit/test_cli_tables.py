"""How results and lanes look: one line each, nothing lost, no telephone number to begin with."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from producers.showing import fields_of, lane_table, pbx_state, result_csv, result_ndjson, result_table
from worker.hopper import Breaker, LaneView, PbxGlance
from worker.jobs import DialResult, Priority

RECORD = {
    "pbx": "hq",
    "extid": "1001",
    "attempts": "2",
    "enqueued_at": "1795424400",
    "finished_at": "1795424401.5",
}
PLACED = DialResult.from_record(
    "id-1", {**RECORD, "state": "placed", "callid": "1.2", "placed_at": "1795424401.5"}
)
FAILED = DialResult.from_record(
    "id-2",
    {**RECORD, "state": "failed", "errno": "10006", "error": 'no "such", extension', "metadata": '{"n":"é,\\n"}'},
)


def test_the_table_has_a_line_for_each_result_with_the_reason_last() -> None:
    header, placed, failed = result_table([PLACED, FAILED])
    assert header.split() == ["finished_at", "job_id", "state", "pbx", "extid", "attempts", "callid", "error"]
    assert placed.split() == ["2026-11-23T09:00:01.500Z", "id-1", "placed", "hq", "1001", "2", "1.2"]
    assert failed.endswith('10006: no "such", extension')


def test_a_call_known_by_its_outbound_leg_alone_is_marked_in_the_table_and_apart_in_files() -> None:
    record = {**RECORD, "state": "placed", "outboundid": "1495705009.316"}
    found = DialResult.from_record("id-3", record)
    completed = DialResult.from_record("id-4", {**record, "callid": "1495705009.315"})
    _, first, second = result_table([found, completed])
    assert first.split()[6:] == ["out:1495705009.316"]
    assert second.split()[6:] == ["1495705009.315"]
    header, row, _ = result_csv([found, completed])
    assert header.startswith("job_id,state,callid,outboundid,errno,error,")
    assert row.startswith("id-3,placed,,1495705009.316,")
    assert [json.loads(line)["callid"] for line in result_ndjson([found])] == [None]


def test_csv_holds_every_field_and_reads_back() -> None:
    text = "\n".join(result_csv([PLACED, FAILED]))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == list(DialResult.model_fields)
    assert rows[0]["callid"] == "1.2"
    assert rows[1]["error"] == 'no "such", extension'
    assert json.loads(rows[1]["metadata"]) == {"n": "é,\n"}


def test_ndjson_is_the_plain_form() -> None:
    assert [json.loads(line) for line in result_ndjson([PLACED, FAILED])] == [PLACED.plain(), FAILED.plain()]


def test_a_record_shows_the_fields_it_has() -> None:
    assert list(fields_of({"state": "placed", "errno": None, "metadata": {}, "attempts": 0})) == [
        "state        placed",
        "attempts     0",
    ]


HQ = PbxGlance(
    "hq",
    is_known=True,
    waiting={Priority.URGENT: 2, Priority.NORMAL: 1198, Priority.BULK: 0},
    oldest_s={Priority.URGENT: 1.0, Priority.NORMAL: 200.0, Priority.BULK: 0.0},
    later=3,
    released=2,
    in_doubt=4,
    open_calls=1,
    calls_per_second=2.5,
    burst=1,
    max_open_calls=8,
    is_paused=True,
    breaker=Breaker("open", 9.6, 1_795_424_400.0, "log-in refused"),
    barred_by="login",
    is_logged_in=True,
)
CLOSED = Breaker("closed", 0.0, 0.0, "")


def test_lanes_show_counts_limits_and_why_a_pbx_is_still() -> None:
    header, line = lane_table([HQ], None, everything_paused=False)
    assert header.split() == [
        *("pbx", "waiting", "urgent", "oldest", "later", "released", "open", "calls", "in", "doubt", "calls/s"),
        "state",
    ]
    assert line.split(maxsplit=10) == [
        *("hq", "1,200", "2", "3", "min", "3", "2", "1/8", "4", "2.5"),
        "paused; breaker open since 2026-11-23T09:00:00Z, for 10 s more: log-in refused",
    ]


def test_lanes_show_each_extension_where_that_is_wanted() -> None:
    *_, lane = lane_table([HQ], lambda _pbx: (LaneView("1001", 1200, 4.0),), everything_paused=True)
    assert lane.split(maxsplit=2) == ["1001", "1,200", "in a call or resting, 4 s at most"]


def test_no_pbx_takes_calls_where_none_begins_at_all() -> None:
    ready = replace(HQ, breaker=CLOSED, is_paused=False, is_known=False)
    stopped = ["Redis is full: it takes no jobs, and no call begins", "no worker is running"]
    *_, line = lane_table([ready], None, everything_paused=False, stopped=stopped)
    assert line.endswith("; ".join(stopped))
    assert pbx_state(replace(ready, is_paused=True), True, stopped=stopped[1:]) == (
        "everything is paused; paused; no worker is running"
    )


@pytest.mark.parametrize(
    ("changes", "everything_paused", "said"),
    [
        ({"breaker": CLOSED, "is_paused": False}, False, "takes calls"),
        (
            {"breaker": replace(HQ.breaker, state="half-open", reason=""), "is_paused": False},
            False,
            "breaker half-open since 2026-11-23T09:00:00Z, the next call is a trial: no reason was given",
        ),
        ({"breaker": CLOSED}, True, "everything is paused; paused"),
        ({"breaker": CLOSED, "is_paused": False, "is_known": False}, False, "no worker knows it yet"),
    ],
)
def test_a_pbx_says_whether_it_takes_calls(changes: dict[str, Any], everything_paused: bool, said: str) -> None:
    assert pbx_state(replace(HQ, **changes), everything_paused) == said

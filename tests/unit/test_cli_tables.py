"""How results and lanes look: one line each, nothing lost, no telephone number to begin with."""

import csv
import io
import json
from dataclasses import replace

import pytest

from producers.showing import fields_of, lane_table, pbx_state, result_csv, result_ndjson, result_table
from worker.hopper import LaneView, PbxView
from worker.jobs import DialResult

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


HQ = PbxView(
    "hq",
    waiting=1200,
    later=3,
    released=2,
    open_calls=1,
    paused=True,
    in_doubt=4,
    breaker="open",
    barred_s=9.6,
    barred_since=1_795_424_400.0,
    barred_reason="log-in refused",
    lanes=(LaneView("1001", 1200, 4.0),),
)


def test_lanes_show_counts_and_why_a_pbx_is_still() -> None:
    header, line = lane_table([HQ], {"hq"}, with_lanes=False)
    assert header.split() == ["pbx", "waiting", "later", "released", "open", "calls", "in", "doubt", "state"]
    assert line.split(maxsplit=6) == [
        *("hq", "1,200", "3", "2", "1", "4"),
        "paused; breaker open since 2026-11-23T09:00:00Z, for 10 s more: log-in refused",
    ]
    *_, lane = lane_table([HQ], {"*"}, with_lanes=True)
    assert lane.split(maxsplit=2) == ["1001", "1,200", "in a call or resting, 4 s at most"]


@pytest.mark.parametrize(
    ("view", "paused", "said"),
    [
        (replace(HQ, breaker="closed"), set(), "takes calls"),
        (
            replace(HQ, breaker="half-open", barred_s=0.0, barred_reason=""),
            set(),
            "breaker half-open since 2026-11-23T09:00:00Z, the next call is a trial: no reason was given",
        ),
        (replace(HQ, breaker="closed"), {"*", "hq"}, "everything is paused; paused"),
    ],
)
def test_a_pbx_says_whether_it_takes_calls(view: PbxView, paused: set[str], said: str) -> None:
    assert pbx_state(view, paused) == said

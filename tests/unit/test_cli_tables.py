"""How results and lanes look: one line each, nothing lost, no telephone number to begin with."""

import csv
import io
import json

from producers.showing import fields_of, lane_table, result_csv, result_ndjson, result_table
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


def test_lanes_show_counts_and_why_a_pbx_is_still() -> None:
    view = PbxView(
        name="hq",
        waiting=1200,
        later=3,
        released=2,
        open_calls=1,
        paused=True,
        in_doubt=0,
        breaker="open",
        barred_s=9.6,
        barred_reason="log-in refused",
        lanes=(LaneView("1001", 1200, 4.0),),
    )
    header, line = lane_table([view], {"hq"}, with_lanes=False)
    assert header.split() == ["pbx", "waiting", "later", "released", "open", "calls", "state"]
    assert line.split(maxsplit=5) == ["hq", "1,200", "3", "2", "1", "paused; closed for 10 s: log-in refused"]
    *_, lane = lane_table([view], {"*"}, with_lanes=True)
    assert lane.split(maxsplit=2) == ["1001", "1,200", "in a call or resting, 4 s at most"]

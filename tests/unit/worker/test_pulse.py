"""Signs of life: what is told, and how it comes into a file."""

import errno
import json
from pathlib import Path

import pytest
import redis

from worker.heartbeat import ANSWERED, EXPECTED, FULL, REFUSED
from worker.pulse import BeatFile, Pulse, Slots
from worker.redis_away import is_silence


def words(pulse: Pulse) -> dict[str, str]:
    return {part: word for part, (_, _, word) in pulse.signs().items()}


def test_only_parts_that_are_expected_count() -> None:
    pulse = Pulse()
    pulse.answered("sender")
    pulse.expect({"consumer": 30, "pacer": 30})
    pulse.refused("pacer")
    pulse.answered("start")
    assert words(pulse) == {"consumer": EXPECTED, "pacer": REFUSED}


def test_slots_hang_only_if_all_hang() -> None:
    taken = {"a", "b"}
    pulse = Pulse()
    pulse.expect({"pool": 90, "consumer": 30}, slots=Slots(2, lambda: taken))
    first = pulse.signs()["pool"]
    assert first[2] == ANSWERED, "both have just been taken"
    assert pulse.signs()["pool"] == first, "and nothing ended since"
    taken = {"a", "c"}
    assert pulse.signs()["pool"][0] > first[0]
    taken = {"a"}
    free = pulse.signs()["pool"]
    assert pulse.signs()["pool"][0] > free[0], "one is free"


def test_a_consumer_that_has_no_slot_to_fill_is_well() -> None:
    pulse = Pulse()
    pulse.expect({"pool": 90, "consumer": 30}, slots=Slots(1, lambda: {"a"}))
    assert words(pulse)["consumer"] == FULL


def test_calls_that_wait_for_a_redis_that_is_away_do_not_hang() -> None:
    pulse = Pulse()
    pulse.expect({"pool": 90, "pacer": 30}, slots=Slots(1, lambda: {"a"}))
    pulse.signs()
    pulse.refused("pacer")
    assert words(pulse) == {"pool": REFUSED, "pacer": REFUSED}


def test_silence_is_told_from_refusal() -> None:
    timed_out = redis.ConnectionError("Error 110 while reading")
    timed_out.__context__ = OSError(errno.ETIMEDOUT, "Connection timed out")
    refused = redis.ConnectionError("Error 111 connecting")
    refused.__context__ = OSError(errno.ECONNREFUSED, "Connection refused")
    assert is_silence(redis.TimeoutError("Timeout reading from socket"))
    assert is_silence(timed_out)
    assert not is_silence(refused)
    assert not is_silence(redis.ResponseError("LOADING Redis is loading the dataset in memory"))


def test_a_file_that_cannot_be_written_is_told_once_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "beats"
    folder.write_text("a file stands in the way")
    beat = BeatFile(folder, "dialer1.7@host", lambda: {"pid": 7})
    beat._write()
    beat._write()
    assert beat.written_at == 0
    assert capsys.readouterr().out.count("heartbeat_not_written") == 1
    folder.unlink()
    beat._write()
    assert beat.written_at > 0
    assert [file.name for file in folder.iterdir()] == ["dialer1.7@host.beat"], "whole, and nothing beside it"
    assert json.loads((folder / "dialer1.7@host.beat").read_text()) == {"pid": 7}

"""What has become of jobs: streamed in order, each once, and counted without reading each."""

from dataclasses import replace

from tests.integration.hopper.stage import Stage, in_s
from worker.hopper import server_view
from worker.jobs import JobState


def test_ended_jobs_come_in_order_and_once_however_many_fit_a_page(stage: Stage) -> None:
    began = stage.hopper.now()
    ids = [stage.put(str(1000 + number)) for number in range(7)]
    for job_id in ids:
        stage.hopper.cancel(job_id)
    for page in (1, 3, 7, 500):
        assert [job.id for job in stage.hopper.ended_jobs(began, page=page)] == ids
    times = [job.finished_at for job in stage.hopper.ended_jobs(began)]
    assert [job.id for job in stage.hopper.ended_jobs(times[2], times[5])] == ids[2:5]
    last, is_all = stage.hopper.last_ended(began, most=3)
    assert ([job.id for job in last], is_all) == (ids[4:], False)
    assert stage.hopper.last_ended(began, most=7)[1]


def test_an_ended_job_tells_its_times_and_attempts_and_no_number(stage: Stage) -> None:
    job_id, claim = stage.claimed(outto="0901234567", metadata={"lead": "L"})
    stage.finish(job_id, "n1", claim)
    [job] = stage.hopper.ended_jobs(0)
    record = stage.hopper.record(job_id)
    assert (job.state, job.pbx, job.extid, job.attempts) == (JobState.PLACED, "hq", "1001", 1)
    assert (job.placed_at, job.due_at) == (float(record["placed_at"]), float(record["enqueued_at"]))
    [begun] = job.claims
    assert abs(begun - float(record["claimed_at"])) < 0.002
    assert "0901234567" not in repr(job)


def test_what_had_a_time_to_come_was_due_then(stage: Stage) -> None:
    later = in_s(3600)
    stage.hopper.cancel(stage.put(not_before=later))
    [job] = stage.hopper.ended_jobs(0)
    assert job.due_at == later.timestamp()


def test_spoiled_and_expired_records_are_left_out(stage: Stage) -> None:
    good, gone, no_hash, odd = (stage.put(str(1000 + number)) for number in range(4))
    for job_id in (good, gone, no_hash, odd):
        stage.hopper.cancel(job_id)
    client, keys = stage.hopper.client, stage.hopper.keys
    client.delete(keys.job(gone), keys.job(no_hash))
    client.set(keys.job(no_hash), "x", ex=600)
    client.hset(keys.job(odd), mapping={"attempts": "many"})
    client.hset(keys.job(good), mapping={"enqueued_at": "nan", "~1": "x|claimed|w|"})
    [job] = stage.hopper.ended_jobs(0)
    assert (job.id, job.enqueued_at, job.claims) == (good, 0.0, ())


def test_how_many_had_been_handed_in_and_had_ended_is_counted_at_any_time(stage: Stage) -> None:
    times = [stage.hopper.now()]
    for number in range(5):
        job_id = stage.put(str(1000 + number))
        times.append(stage.hopper.now())
        if number % 2:
            stage.hopper.cancel(job_id)
    assert stage.hopper.handed_in_by(times) == [0, 1, 2, 3, 4, 5]
    assert stage.hopper.ended_by([*times, stage.hopper.now()]) == [0, 0, 0, 1, 1, 2, 2]
    assert stage.hopper.handed_in_by([0, times[-1] + 60]) == [0, 5]


def test_the_server_tells_how_it_fares(stage: Stage) -> None:
    view = server_view(stage.hopper)
    late_writes = stage.hopper.client.info("persistence")["aof_delayed_fsync"]
    assert view.memory_bytes > 0
    assert 0 <= view.late_writes <= late_writes, "a busy disk may have made some late"
    view = replace(view, version="", memory_bytes=0, late_writes=0)
    assert view == type(view)("", 0, 0, True, 0, is_replica=False)

"""The key space of the hopper: what may stay without a TTL."""

import redis

from tests.integration.hopper.stage import Stage, in_s, keys_of, leaks
from worker.hopper import Hopper


def test_a_key_without_reason_or_ttl_is_found(client: "redis.Redis", namespace: str) -> None:
    client.set(f"{namespace}:lock:hq", "1")
    client.hset(f"{namespace}:job:gone", "state", "placed")
    client.zadd(f"{namespace}:expiry", {"gone": 1})

    assert leaks(client, namespace) == [":expiry", ":job:gone", ":lock:hq"]
    client.delete(*keys_of(client, namespace))


def test_a_drained_hopper_keeps_only_what_is_listed(stage: Stage, client: "redis.Redis", namespace: str) -> None:
    job_ids = stage.put_each([str(1000 + i) for i in range(20)], expires_at=in_s(3600))
    for job_id in stage.release():
        stage.finish(job_id, "n", stage.go(job_id, "n"))

    stage.release()
    forever = {key.removeprefix(namespace) for key in keys_of(client, namespace) if client.ttl(key) == -1}

    assert forever == {
        ":seq",
        ":known",
        ":pbx:hq",
        ":token:hq",
        ":wake",
        ":arrivals",
        ":ended",
        ":outbox",
        ":exts:hq",
    }
    assert all(0 < client.ttl(stage.hopper.keys.job(job_id)) <= 600 for job_id in job_ids)


def test_records_of_finished_jobs_go_after_the_time_to_retain_them(client: "redis.Redis", namespace: str) -> None:
    forgetful = Stage(Hopper(client, namespace=namespace, retain_s=1), queue=f"{namespace}.dial")
    forgetful.open_pbx()
    cancelled = forgetful.put(key="again")
    forgetful.hopper.cancel(cancelled)

    assert 0 < client.pttl(forgetful.hopper.keys.job(cancelled)) <= 1000
    assert client.ttl(forgetful.hopper.keys.job(forgetful.put("1002"))) == -1

"""One attempt after another: the task's room, with real endpoints and the real hopper."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ops.embedded_redis import EmbeddedRedis
from tests.integration.endpoints import LOOPBACK, Endpoint, Serve, always, in_turn
from tests.integration.hopper.post import Post
from tests.integration.hopper.stage import Stage, eventually
from worker import metrics
from worker.app import build_app
from worker.hopper import Hopper
from worker.jobs import DialResult
from worker.results import Deliverer, _End
from worker.settings import Settings
from worker.webhooks import Call, sending
from worker.webhooks.sending import ResultCalls, Sender
from worker.webhooks.targets import Announcer
from worker.webhooks.trial import try_endpoint
from worker.webhooks.verdicts import answer_words

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def post(hopper: Hopper, namespace: str, client: redis.Redis) -> Iterator[Post]:
    stage = Stage(hopper, queue=f"{namespace}.dial")
    stage.open_pbx()
    yield Post(stage)
    client.delete(*client.scan_iter(match=f"{namespace}*"))


def settings_for(post: Post, served: Endpoint | None, **more: object) -> Settings:
    keys = post.hopper.keys
    block = {"secret": SECRET, "allow_networks": LOOPBACK, "timeout_s": 30}
    crm = {"crm": block | {"url": served.url, "ca_file": served.ca_file}} if served else {}
    given = {"redis_url": "redis://127.0.0.1:1/0", "namespace": keys.namespace, "webhook": crm} | more
    return Settings.model_validate(given)


def nothing_to_tell(_source: str, _result: DialResult, _seq: int) -> Call | None:
    return None


def attempt(post: Post, settings: Settings, result_calls: ResultCalls = nothing_to_tell) -> None:
    """Hand out what is due, and attempt it."""
    sender = Sender(post.hopper, settings, result_calls)
    for delivery_id in post.dispatch():
        sender.deliver(delivery_id)


def test_a_result_is_tried_until_it_is_taken(post: Post, serve: Serve) -> None:
    served = serve(in_turn(500, 200))
    settings = settings_for(post, served)
    post.announced()

    attempt(post, settings)
    assert (post.view().state, post.view().waiting) == ("failing", 1)
    assert post.view().last_error == answer_words(500)
    post.make_due()
    attempt(post, settings)

    assert (post.view().state, post.view().waiting, len(served.requests)) == ("ok", 0, 2)
    one, two = served.requests
    assert (one.headers["webhook-id"], one.body) == (two.headers["webhook-id"], two.body)


def test_attempts_are_counted_by_what_came_of_them(post: Post, serve: Serve) -> None:
    settings, meters = settings_for(post, serve(in_turn(500, 200))), metrics.begin_in_memory(["crm"])
    post.announced()
    for _ in range(2):
        attempt(post, settings)
        post.make_due()

    samples = [sample for metric in meters.collect() for sample in metric.samples]
    counted = {(sample.name, sample.labels.get("result")): sample.value for sample in samples}
    assert counted["outdial_webhook_attempts_total", "again"] == 1
    assert counted["outdial_webhook_attempts_total", "delivered"] == 1
    assert counted["outdial_webhook_seconds_count", None] == 2


def test_retry_after_holds_the_whole_endpoint(post: Post, serve: Serve) -> None:
    settings = settings_for(post, serve(always(429, Retry_After="120")))
    post.announced()

    attempt(post, settings)

    assert 100 < post.view().rest_until - post.hopper.now() <= 120
    post.announced(extid="1002")
    assert post.dispatch() == []


@pytest.mark.parametrize("status", [302, 401, 404, 410, 429, 503])
def test_a_trial_gives_the_advice_that_the_list_gives(post: Post, serve: Serve, status: int) -> None:
    settings = settings_for(post, serve(always(status)))
    post.announced()
    attempt(post, settings)

    taken, sentence = try_endpoint(settings, "crm")

    assert not taken
    assert sentence == f"it answered {post.view().last_error}"
    assert sentence.count("; ") >= 1


def test_the_last_attempt_of_the_schedule_makes_a_dead_letter(post: Post, serve: Serve) -> None:
    settings = settings_for(post, serve(always(404)), webhooks={"retry_s": [1]})
    post.announced()
    for _ in range(2):
        attempt(post, settings)
        post.make_due()

    [letter] = post.hopper.dead_letters("crm")
    assert letter.error == f"given up after 2 attempts: {answer_words(404)}"


def test_an_endpoint_that_left_the_settings_keeps_nothing_on_its_way(post: Post) -> None:
    post.announced()

    attempt(post, settings_for(post, None))

    [letter] = post.hopper.dead_letters("crm")
    assert "no such endpoint" in letter.error


def source_settings(post: Post, served: Endpoint, *, port: int | None = None) -> Settings:
    url = f"https://localhost:{port or served.port}/"
    route = {"allow_networks": LOOPBACK, "ca_file": served.ca_file, "timeout_s": 30}
    source = {"pd": {"kind": "generic", "result": {"url": url}}}
    return settings_for(post, None, source=source, webhooks={"sources": {"pd": route}})


def from_source(post: Post, source: str = "pd") -> str:
    job_id = post.ended(metadata={"deal": "77"})
    post.hopper.client.hset(post.hopper.keys.job(job_id), "origin", f"hook:{source}")
    assert post.announce(job_id, sources=["pd"]) == 1
    return job_id


def test_the_crm_of_a_source_gets_its_own_call(post: Post, serve: Serve) -> None:
    served = serve(always(201))
    told: list[tuple[str, str, int]] = []

    def result_calls(source: str, result: DialResult, seq: int) -> Call:
        told.append((source, result.metadata["deal"], seq))
        return Call("PUT", served.url, {"X-Key": "k"}, b"deal=77")

    from_source(post)
    attempt(post, source_settings(post, served), result_calls)

    assert told == [("pd", "77", 1)]
    [request] = served.requests
    assert (request.method, request.body, request.headers["x-key"]) == ("PUT", b"deal=77", "k")
    assert post.view("source:pd").last_success > 0


def test_a_call_of_an_adapter_goes_only_to_ports_the_operator_wrote(post: Post, serve: Serve) -> None:
    served = serve(always(200))
    from_source(post)

    attempt(post, source_settings(post, served, port=9), lambda *_: Call("POST", served.url, {}, b""))

    assert served.requests == []
    assert "port" in post.view("source:pd").last_error


def test_where_an_adapter_has_nothing_to_tell_nothing_stays(post: Post, serve: Serve) -> None:
    from_source(post)
    attempt(post, source_settings(post, serve(always(200))))

    view = post.view("source:pd")
    assert (view.waiting, view.in_flight, view.dead, view.last_success) == (0, 0, 0, 0)


def test_an_adapter_that_breaks_makes_a_dead_letter_that_quotes_nothing(post: Post, serve: Serve) -> None:
    def broken(_source: str, result: DialResult, _seq: int) -> Call:
        raise KeyError(result.metadata["deal"])

    from_source(post)
    attempt(post, source_settings(post, serve(always(200))), broken)

    [letter] = post.hopper.dead_letters("source:pd")
    assert letter.error == "its call could not be made (KeyError)"
    assert post.view("source:pd").state == "ok"


def test_a_slip_of_ours_follows_the_schedule_and_blames_nobody(post: Post, serve: Serve) -> None:
    class Broken:
        def send(self, *_: object, **__: object) -> None:
            raise RuntimeError("can't start new thread")

    settings = settings_for(post, serve(always(200)))
    post.announced()
    [delivery_id] = post.dispatch()
    Sender(post.hopper, settings, nothing_to_tell, transport=Broken()).deliver(delivery_id)  # type: ignore[arg-type]

    assert (post.view().waiting, post.view().state) == (1, "ok")
    assert (
        post.hopper.client.hget(post.hopper.keys.delivery(delivery_id), "error")
        == "the attempt broke (RuntimeError)"
    )


def test_what_arrived_is_said_though_redis_blinks(
    post: Post, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_TRY_AGAIN_S", 0)
    served = serve(always(200))
    post.announced()
    blinks, attempted = [redis.ConnectionError, redis.TimeoutError], post.hopper.attempted

    def blinking(*args: Any, **how: Any) -> tuple[str, bool]:
        if blinks:
            raise blinks.pop()
        return attempted(*args, **how)

    monkeypatch.setattr(post.hopper, "attempted", blinking)
    attempt(post, settings_for(post, served))

    assert blinks == []
    assert (post.view().in_flight, len(served.requests)) == (0, 1)


def test_results_are_announced_though_the_results_backend_is_down(
    post: Post, serve: Serve, redis_server: EmbeddedRedis
) -> None:
    settings = settings_for(post, serve(always(200)))
    elsewhere = settings.model_copy(
        update={"redis_url": redis_server.url, "result_backend": "redis://127.0.0.1:9/0"}
    )
    app = build_app(elsewhere)
    job_id = post.ended()
    [result] = post.hopper.results([job_id])
    deliverer = Deliverer(app, post.hopper, "w@test", Announcer(post.hopper, elsewhere))
    deliverer.start()
    for _ in range(2):  # the sweeper brings it again
        deliverer.ended(result)
    deliverer.stop()
    app.close()

    assert eventually(lambda: post.view().waiting) == 1
    assert post.stage.score("outbox", job_id) is not None


def test_what_a_full_redis_does_not_take_stays_in_the_outbox(post: Post) -> None:
    class Full:
        def announce(self, _results: object) -> None:
            raise redis.exceptions.OutOfMemoryError

    job_id = post.ended()
    stored: list[str] = []
    deliverer = Deliverer(None, post.hopper, "w@test", Full())  # type: ignore[arg-type]
    deliverer._store = lambda results: stored.extend(result.job_id for result in results)  # type: ignore[method-assign]
    dispatcher = type("Dispatcher", (), {"send": lambda *_, **__: None, "flush": lambda _: None})()

    with pytest.raises(redis.exceptions.OutOfMemoryError):
        deliverer._deliver([_End(result, None) for result in post.hopper.results([job_id])], dispatcher)

    assert stored == [job_id]
    assert post.stage.score("outbox", job_id) is not None


def test_a_file_of_authorities_that_went_away_is_no_end_of_the_process(
    post: Post, serve: Serve, tmp_path: Path
) -> None:
    served = serve(always(200))
    settings = settings_for(post, served)
    lost = settings.webhook["crm"].model_copy(update={"ca_file": tmp_path / "gone.pem"})
    post.announced()

    attempt(post, settings.model_copy(update={"webhook": {"crm": lost}}))

    assert post.view().waiting == 1
    assert served.requests == []

"""Celery's configuration, and the message the pacer's script sends."""

import json
from ssl import CERT_NONE, CERT_REQUIRED

import pytest
from celery import Celery
from kombu.connection import Connection

from worker import broker
from worker.app import build_app, dial_message
from worker.results import never_repeat
from worker.settings import Settings


@pytest.fixture
def app() -> Celery:
    return build_app(Settings(redis_url="redis://127.0.0.1:1/0"))


def test_the_settings_that_keep_calls_single(app: Celery) -> None:
    conf = app.conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert not conf.worker_cancel_long_running_tasks_on_connection_loss
    assert conf.broker_connection_max_retries is None
    assert conf.accept_content == ["json"]
    assert not conf.task_create_missing_queues
    assert not conf.result_extended
    assert conf.enable_utc


def test_visibility_is_the_same_in_all_three_places(app: Celery) -> None:
    conf = app.conf
    places = (conf.broker_transport_options, conf.result_backend_transport_options)
    assert [place["visibility_timeout"] for place in places] == [conf.visibility_timeout] * 2
    assert all("retry_on_timeout" not in place for place in places)


def test_the_dial_task_stores_nothing_and_sends_nothing_by_itself(app: Celery) -> None:
    dial = app.tasks["worker.tasks.dial"]
    assert dial.ignore_result
    assert dial.send_events is False


def test_the_message_is_what_celery_itself_would_read(app: Celery) -> None:
    raw = json.loads(dial_message(app).replace("@ID@", "the-job").replace("@TAG@", "the-job.1"))
    with Connection("memory://") as connection, connection.channel() as channel:
        message = channel.message_to_python(raw)
        args, kwargs, embedded = message.decode()
    assert (args, kwargs) == (["the-job"], {})
    assert message.headers["id"] == message.headers["root_id"] == "the-job"
    assert message.headers["task"] == "worker.tasks.dial"
    assert message.headers["ignore_result"] is True
    assert message.delivery_tag == "the-job.1"
    assert embedded["chord"] is None


SENTINELS = "sentinel://:p%40w@10.0.0.1:26379,10.0.0.2/3?master=calls&sentinel_password=own"


def test_every_sentinel_is_named_to_celery_with_all_it_needs() -> None:
    app = build_app(Settings(redis_url=SENTINELS))
    assert app.conf.broker_url == "sentinel://:p%40w@10.0.0.1:26379/3;sentinel://:p%40w@10.0.0.2:26379/3"
    for options in (app.conf.broker_transport_options, app.conf.result_backend_transport_options):
        assert options["master_name"] == "calls"
        assert options["sentinel_kwargs"]["credential_provider"].get_credentials() == ("own",)
        assert "own" not in repr(options)
    assert app.backend.connparams["password"] == "p@w"
    assert app.backend.connparams["db"] == 3


def test_results_may_go_elsewhere_than_jobs() -> None:
    app = build_app(Settings(redis_url=SENTINELS, result_backend="db+sqlite:///results.sqlite"))
    assert app.conf.result_backend == "db+sqlite:///results.sqlite"
    assert "master_name" not in app.conf.result_backend_transport_options


def test_tls_is_verified_by_celery_too_unless_the_address_says_otherwise() -> None:
    app = build_app(Settings(redis_url="rediss://:pw@10.0.0.1/0", result_backend="rediss://h?ssl_cert_reqs=none"))
    with app.connection_for_write() as connection:
        assert connection.ssl == {"ssl_cert_reqs": "required"}
    assert app.backend.connparams["ssl_cert_reqs"] == CERT_NONE


@pytest.mark.parametrize(
    "url",
    ["redis://user:hidden@127.0.0.1:1/0", "sentinel://:hidden@127.0.0.1:1/0?master=m&sentinel_password=hidden"],
)
def test_what_flower_may_show_of_the_broker_holds_no_password(url: str) -> None:
    app = build_app(Settings(redis_url=url))
    with broker.Connection(app.conf.broker_url, transport_options=app.conf.broker_transport_options) as connection:
        assert "hidden" not in repr(connection.info())
        assert connection.info()["transport"] in ("redis", "sentinel")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "sentinel://127.0.0.1:1/0?master=m"])
def test_results_are_never_sent_twice_to_an_address_that_may_be_a_former_primary(url: str) -> None:
    backend = build_app(Settings(redis_url=url)).backend
    never_repeat(backend)
    pool = backend.client.connection_pool
    assert pool.connection_kwargs["retry"].get_retries() == 0
    assert pool.make_connection().retry.get_retries() == 0


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://:p%40w@h:7/3", {"host": "h", "port": 7, "db": 3, "socket_keepalive": True}),
        ("rediss://:p%40w@h/3", {"host": "h", "db": 3, "socket_keepalive": True, "cert_reqs": CERT_REQUIRED}),
        ("sentinel://:p%40w@h/3?master=m", {"db": 3, "socket_keepalive": True}),
        ("redis+socket://:p%40w@/run/r.sock?virtual_host=3", {"path": "/run/r.sock", "db": 3}),
    ],
)
def test_celery_connects_to_results_by_any_kind_of_address(url: str, options: dict[str, object]) -> None:
    backend = build_app(Settings(redis_url="redis://127.0.0.1:1/0", result_backend=url)).backend
    made = backend.client.connection_pool.make_connection()
    assert {name: getattr(made, name) for name in options} == options

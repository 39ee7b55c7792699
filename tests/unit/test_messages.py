"""What counts as a message that names a job: ours, and any Celery client's; nothing else, and nothing raises."""

import base64
import json
from typing import Any

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from kombu.connection import Connection

from tests.conftest import pbx_settings
from worker.app import build_app, delivery_message, dial_message
from worker.messages import Unusable, delivery_id_in, job_id_in
from worker.settings import Settings
from worker.task_events import DIAL_TASK

JOB = "11111111-2222-5333-8444-555555555555"
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message(**changes: Any) -> dict[str, Any]:
    whole = {
        "body": json.dumps([[JOB], {}, EMBED]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": DIAL_TASK, "id": JOB},
        "properties": {"delivery_tag": "1"},
    }
    return whole | {name.replace("_", "-"): value for name, value in changes.items()}


def read(whole: object) -> str | Unusable:
    return job_id_in(json.dumps(whole).encode())


def body(*arguments: object) -> dict[str, Any]:
    return message(body=json.dumps(arguments))


def test_our_own_message_names_its_job() -> None:
    app = build_app(Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0", "pbx": {"hq": pbx_settings()}}))
    assert job_id_in(dial_message(app).replace("@ID@", JOB).encode()) == JOB


def test_any_celery_clients_message_names_its_job() -> None:
    app = Celery(set_as_current=False)
    sent = app.amqp.create_task_message(JOB, DIAL_TASK, (JOB,), {})
    with Connection("memory://") as connection, connection.channel() as channel:
        queue = app.amqp.queues["celery"](channel)
        queue.declare()
        app.amqp.send_task_message(connection.Producer(), DIAL_TASK, sent, queue=queue, declare=[queue])
        assert read(channel._get("celery")) == JOB


def test_a_body_may_be_encoded() -> None:
    encoded = base64.b64encode(json.dumps([[JOB], {}, EMBED]).encode()).decode()
    assert read(message(body=encoded, properties={"body_encoding": "base64"})) == JOB


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (b"", Unusable.NOT_JSON),
        (b"hello", Unusable.NOT_JSON),
        (b"\xff\xfe\x00", Unusable.NOT_JSON),
        (b"[" * 60_000, Unusable.NOT_JSON),
        (b"1" * 60_000, Unusable.NOT_JSON),
        (b"x" * 1_000_000, Unusable.TOO_LONG),
    ],
    ids=["empty", "text", "not utf-8", "deep", "huge number", "long"],
)
def test_what_is_not_even_json(found: bytes, why: Unusable) -> None:
    assert job_id_in(found) is why


@pytest.mark.parametrize(
    "whole",
    [
        [],
        17,
        None,
        "text",
        {},
        message(body=None),
        message(body=17),
        message(headers=None),
        message(headers=[]),
        message(headers="task"),
        message(headers={}),
        message(headers={"task": ["x"]}),
        message(properties=None),
        message(properties=[]),
    ],
)
def test_what_is_not_a_celery_message(whole: object) -> None:
    assert read(whole) is Unusable.NOT_A_MESSAGE


def test_other_tasks_are_not_ours() -> None:
    assert read(message(headers={"task": "celery.backend_cleanup"})) is Unusable.OTHER_TASK


@pytest.mark.parametrize(
    "whole",
    [
        message(body="hello"),
        message(body="%%%", properties={"body_encoding": "base64"}),
        message(body=JOB, properties={"body_encoding": "base64"}),
        message(properties={"body_encoding": "rot13"}),
        message(properties={"body_encoding": ["base64"]}),
        message(content_type="application/x-python-serialize"),
        message(content_type=None),
        message(headers={"task": DIAL_TASK, "compression": "gzip"}),
    ],
)
def test_a_body_that_cannot_be_read(whole: object) -> None:
    assert read(whole) is Unusable.BAD_BODY


@pytest.mark.parametrize(
    "whole",
    [
        body(),
        body([JOB]),
        body([], {}, EMBED),
        body([JOB, JOB], {}, EMBED),
        body([JOB], {"x": 1}, EMBED),
        body([JOB], [], EMBED),
        body({"a": JOB}, {}, EMBED),
        body([17], {}, EMBED),
        body(["0205550199"], {}, EMBED),
        body([JOB + "\n"], {}, EMBED),
        body([JOB.upper().replace("1", "A")], {}, EMBED),
        message(body=json.dumps({"args": [JOB]})),
        message(body="17"),
    ],
)
def test_arguments_that_are_not_one_job_id(whole: object) -> None:
    assert read(whole) is Unusable.BAD_ARGUMENTS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(DIAL_TASK) | st.just(JOB),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["task", "id"]), inner),
    max_leaves=8,
)


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_raise(found: bytes) -> None:
    assert isinstance(job_id_in(found), Unusable)


@given(JSON, JSON, JSON, JSON, JSON)
def test_no_message_raises(text: object, headers: object, properties: object, inner: object, kind: object) -> None:
    parts = {"headers": headers, "properties": properties, "body": text, "content-type": kind}
    for whole in (parts, *(message(**{name: value}) for name, value in parts.items()), body(inner)):
        assert isinstance(read(whole), Unusable | str)


def test_reasons_have_nothing_of_the_content() -> None:
    assert all(why.value.startswith(("it is", "its ")) for why in Unusable)


def test_a_delivery_is_named_by_the_message_of_a_delivery_alone() -> None:
    app = build_app(Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0"}), queue="outdial.webhooks")
    for name in (f"{JOB}_1_crm", f"{JOB}_999999_source:hub-spot_2"):
        message = delivery_message(app).replace("@ID@", name).encode()
        assert delivery_id_in(message) == name
        assert job_id_in(message) is Unusable.OTHER_TASK
    for name in (JOB, f"{JOB}_x_crm", f"{JOB}_1_", f"{JOB}_1_Crm", f"{JOB}_1_a:b"):
        assert delivery_id_in(delivery_message(app).replace("@ID@", name).encode()) is Unusable.BAD_ARGUMENTS

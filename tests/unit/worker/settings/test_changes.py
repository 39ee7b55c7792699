"""What a new reading of the settings changes, and what of it takes a restart."""

from typing import Any

import pytest
from pydantic import BaseModel

from tests.conftest import pbx_settings
from worker.settings import Settings, change_of, version_of
from worker.settings.changes import NEEDS_RESTART


def settings(**given: Any) -> Settings:
    return Settings(**{"redis_url": "redis://127.0.0.1:1/0", "pbx": {"hq": pbx_settings()}, **given})


def test_the_same_settings_change_nothing() -> None:
    present = settings()
    change = change_of(present, settings())
    assert change.settings is present
    assert (change.changed, change.needs_restart) == ((), ())


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"pbx": {"hq": pbx_settings(burst=3)}}, ("pbx.hq.burst",)),
        ({"pbx": {"hq": pbx_settings(), "east": pbx_settings()}}, ("pbx.east (new)",)),
        ({"pbx": {"east": pbx_settings()}}, ("pbx.east (new)", "pbx.hq (removed)")),
        ({"pbx": {"hq": pbx_settings(numbers={"country": "GB"})}}, ("pbx.hq.numbers",)),
        ({"pbx": {"hq": pbx_settings(password="another")}}, ("pbx.hq.password",)),
        ({"log_level": "debug"}, ("log_level",)),
        ({"retry": {"base_s": 2}}, ("retry.base_s",)),
        ({"source": {"crm": {"kind": "generic"}}}, ("source.crm (new)",)),
        ({"webhook": {"crm": {"url": "https://crm.example.com"}}}, ("webhook.crm (new)",)),
        ({"webhooks": {"probe_every_s": 3}}, ("webhooks.probe_every_s",)),
        ({"api": {"max_body_bytes": 2048}}, ("api.max_body_bytes",)),
    ],
)
def test_a_change_takes_effect_and_is_named(given: dict[str, Any], changed: tuple[str, ...]) -> None:
    read = settings(**given)
    change = change_of(settings(), read)
    assert (change.changed, change.needs_restart) == (changed, ())
    assert change.settings == read


@pytest.mark.parametrize(
    "given",
    [
        {"namespace": "other"},
        {"retain_s": 5},
        {"worker": {"concurrency": 3}},
        {"limits": {"claim_dead_s": 50}},
        {"api": {"port": 1}},
        {"webhooks": {"processes": 2}},
        {"metrics": {"port": 9100}},
    ],
)
def test_what_needs_a_restart_is_named_and_keeps_its_value(given: dict[str, Any]) -> None:
    present = settings()
    change = change_of(present, settings(**given))
    assert change.settings is present
    assert change.changed == ()
    [name] = change.needs_restart
    assert name.startswith(next(iter(given)))


def test_of_both_kinds_one_takes_effect_and_the_other_waits() -> None:
    read = settings(namespace="other", log_level="error", api={"port": 1, "idempotency_s": 60})
    change = change_of(settings(), read)
    assert change.changed == ("log_level", "api.idempotency_s")
    assert change.needs_restart == ("namespace", "api.port")
    assert (change.settings.namespace, change.settings.log_level) == ("outdial", "error")
    assert (change.settings.api.port, change.settings.api.idempotency_s) == (8080, 60)


def test_whatever_needs_a_restart_is_a_setting() -> None:
    for name in NEEDS_RESTART:
        part: type[BaseModel] = Settings
        *sections, field = name.split(".")
        for section in sections:
            found = part.model_fields[section].annotation
            assert isinstance(found, type)
            part = found
        assert field in part.model_fields, name


def test_the_version_shows_what_hosts_share_and_no_secret() -> None:
    version = version_of(settings())
    assert len(version) == 8
    assert version_of(settings(pbx={"hq": pbx_settings(burst=3)})) != version
    assert version_of(settings(log_level="debug")) != version
    for of_one_host in ({"redis_url": "redis://other:1/0"}, {"worker": {"concurrency": 3}}, {"api": {"port": 1}}):
        assert version_of(settings(**of_one_host)) == version
    assert version_of(settings(pbx={"hq": pbx_settings(password="another")})) == version


def test_every_kind_of_process_has_the_same_version() -> None:
    secret = "whsec_" + "A" * 32
    block = {"kind": "generic", "token_env": "CRM_TOKEN", "auth": {"kind": "bearer", "token_file": "x"}}
    there = {"crm": {"url": "https://crm.example.com", "secret_env": ["A"]}}
    with_secrets = settings(
        source={"crm": block | {"token": "t", "auth": {**block["auth"], "token": "u"}}},  # type: ignore[dict-item]
        webhook={"crm": there["crm"] | {"secret": [secret]}},
    )
    assert version_of(with_secrets) == version_of(settings(source={"crm": block}, webhook=there))

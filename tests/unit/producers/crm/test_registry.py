"""Kinds are found by their modules, and all that is wrong with all sources is said at once."""

from typing import Any

import pytest

from producers.crm.registry import adapters, kinds
from worker.errors import ConfigurationError

GOOD: dict[str, Any] = {"kind": "generic", "auth": {"kind": "bearer", "token": "t"}, "map": {"outto": "phone"}}


def problems(**sources: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as wrong:
        adapters(sources)
    return wrong.value.problems


def test_a_module_with_settings_and_an_adapter_is_a_kind() -> None:
    assert "generic" in kinds()
    assert not {"base", "registry", "auth", "presets"} & set(kinds())


def test_every_source_gets_its_adapter() -> None:
    made = adapters({"one": GOOD, "two": GOOD | {"extension": "1001"}})
    assert {name: one.name for name, one in made.items()} == {"one": "one", "two": "two"}
    assert made["two"].settings.extension == "1001"


def test_every_problem_of_every_source_is_said_at_once() -> None:
    said = problems(
        one={"kind": "vtiger"},
        two={},
        three={"kind": "generic", "preset": "sugar"},
        four=GOOD | {"extension": "x1", "map": {"outto": "a[", "to": "b"}},
        five=GOOD | {"auth": {"kind": "bearer"}},
    )
    assert [problem.partition(":")[0] for problem in said] == [
        "source.one.kind",
        "source.two.kind",
        "source.three",
        "source.four.extension",
        "source.four.map.outto.0",
        "source.four.map.to",
        "source.five.auth.token",
    ]
    assert "choose one of dataverse" in said[2]


@pytest.mark.parametrize("kind", ["base", "../os", "", 7, None, "bodies"])
def test_what_is_no_kind_is_refused(kind: Any) -> None:
    assert problems(crm={"kind": kind})[0].startswith("source.crm.kind: ")


@pytest.mark.parametrize("auth", [None, {}, {"token": "t"}, "none"])
def test_a_source_says_aloud_that_nobody_proves_anything(auth: Any) -> None:
    block = {name: value for name, value in GOOD.items() if name != "auth"}
    assert problems(crm=block if auth is None else block | {"auth": auth})[0].startswith("source.crm.auth: ")
    adapters({"crm": block | {"auth": {"kind": "none"}}})


def test_no_problem_quotes_a_secret() -> None:
    wrong = {"kind": "basic", "username": "a", "password": "s3cret", "token": "s3cret"}
    assert "s3cret" not in str(problems(crm=GOOD | {"auth": wrong}))

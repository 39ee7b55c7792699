"""Kinds are found by their modules, and all that is wrong with all sources is said at once."""

from typing import Any

import pytest

from producers.crm import presets
from producers.crm.registry import adapters, kinds
from worker.errors import ConfigurationError

PROOFS = "none, bearer, header, basic, url_token, body_token, hmac"
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
        "source.three.preset",
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


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"extension": "10a"}, "source.crm.extension: is not right; give 1 to 10 digits, in quotes"),
        ({"extensions": {"77": 1002}}, "source.crm.extensions.77: is not right; give 1 to 10 digits, in quotes"),
        ({"country": "Belgium"}, "source.crm.country: is not right; give two capital letters, such as GB"),
        ({"priority": "high"}, "source.crm.priority: must be 'urgent', 'normal' or 'bulk'"),
        ({"expires_in_s": -1}, "source.crm.expires_in_s: must be greater than 0"),
        (
            {"methods": ["POST", "HEAD"]},
            "source.crm.methods: 'HEAD' is invalid; expected some of POST, PUT, PATCH, GET, in capitals",
        ),
        (
            {"methods": ["post"]},
            "source.crm.methods: 'post' is invalid; expected some of POST, PUT, PATCH, GET, in capitals",
        ),
        ({"methods": []}, "source.crm.methods: is empty; give one"),
        ({"methods": "GET"}, 'source.crm.methods: is not a list; give one, such as ["POST"]'),
        ({"dedupe": 5}, 'source.crm.dedupe: is not a list; give one, such as ["a", "b"]'),
        ({"map": "phone"}, 'source.crm.map: is not a table; give one, such as { name = "value" }'),
        ({"preset": "sugar"}, f"source.crm.preset: 'sugar' is none; choose one of {', '.join(presets.names())}"),
        (
            {"auth": {"kind": "berer"}},
            f"source.crm.auth.kind: 'berer' is none; choose one of {PROOFS}",
        ),
        ({"auth": {"kind": "bearer", "token": ""}}, "source.crm.auth.token: is empty; give one"),
        (
            {"auth": {"kind": "hmac", "secret": "s", "header": "X", "signed": "{url}"}},
            "source.crm.auth.signed: must hold {body}, or anybody could change it",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(wrong: dict[str, Any], said: str) -> None:
    assert problems(crm=GOOD | wrong) == [said]


def test_a_pbx_that_there_is_not_is_told_before_the_first_wish() -> None:
    sources = {"one": GOOD | {"pbx": "berlin"}, "two": GOOD | {"pbx": "hq"}, "three": GOOD}
    with pytest.raises(ConfigurationError) as wrong:
        adapters(sources, pbxs=["hq", "branch"])
    assert wrong.value.problems == ["source.one.pbx: 'berlin' is not one of the PBXs: hq, branch"]
    assert adapters(sources).keys() == sources.keys()


def test_no_problem_quotes_a_secret() -> None:
    wrong = {"kind": "basic", "username": "a", "password": "s3cret", "token": "s3cret"}
    assert "s3cret" not in str(problems(crm=GOOD | {"auth": wrong}))

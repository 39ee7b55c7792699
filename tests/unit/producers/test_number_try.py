"""`outdial number try`: shows what would be dialed, or says why not, and reaches nothing."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from producers.cli import cli

PBX = 'api = "yeastar-s-v1.0"\nbase_url = "https://127.0.0.1:9"\nusername = "api"\npassword = "s3cret"\n'
SETTINGS = f"""
redis_url = "redis://127.0.0.1:1/0"
default_pbx = "hq"
[pbx.hq]
{PBX}
[pbx.hq.numbers]
country = "GB"
[pbx.branch]
{PBX}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "outdial.toml"
    file.write_text(SETTINGS)
    return str(file)


def tried(config: str, *args: str) -> Result:
    return CliRunner().invoke(cli, ["number", "try", "--config", config, *args])


def test_what_would_be_dialed_is_shown_with_how_it_was_understood(config: str) -> None:
    result = tried(config, "+44 (0)20 7946 0018")
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["pbx", "hq"],
        ["dialed", "02079460018"],
        ["kind", "fixed_line"],
        ["country", "GB"],
        ["international", "+442079460018"],
    ]


def test_json_has_every_field(config: str) -> None:
    plain = json.loads(tried(config, "202-555-0143", "--country", "US", "--json").stdout)
    assert plain == {
        "pbx": "hq",
        "dialed": "0012025550143",
        "kind": "fixed_line_or_mobile",
        "country": "US",
        "international": "+12025550143",
        "errno": None,
        "error": None,
    }


def test_the_pbx_named_counts(config: str) -> None:
    assert (
        json.loads(tried(config, "+44 20 7946 0018", "--pbx", "branch", "--json").stdout)["dialed"]
        == "+442079460018"
    )
    assert tried(config, "41000", "--pbx", "nope").exit_code == 2


def test_a_refused_number_is_exit_code_2_and_a_reason(config: str) -> None:
    result = tried(config, "+44 999")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("outdial: emergency_number: outto: '+xx x99' reaches an emergency service")
    as_json = tried(config, "+44 999", "--json")
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["errno"] == "emergency_number"

"""Settings: the file of the design, the environment, secrets, and every problem at once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.errors import ConfigurationError
from worker.secret_reader import Role, SecretReader, open_to_others, unreadable
from worker.settings import NumberRules, Settings, TimeLimits

DESIGN = """
redis_url = "redis://127.0.0.1:6379/0"
result_backend = "redis://127.0.0.1:6379/1"
[pbx.hq]
api = "yeastar-s-v1.0"
base_url = "https://192.168.5.150:8088"
username = "api"
password_env = "HQ_PBX_PASSWORD"
ca_file = "hq.pem"
calls_per_second = 2.0
burst = 1
max_open_calls = 8
open_call_s = 60
extension_rest_s = 2
connect_timeout_s = 3
read_timeout_s = 10
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OUTDIAL_CONFIG", "REDIS_URL", "OUTDIAL_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HQ_PBX_PASSWORD", "s3cret")
    (tmp_path / "hq.pem").write_text("certificate")
    path = tmp_path / "outdial.toml"
    path.write_text(DESIGN)
    return path


def problems(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(path)
    return str(refused.value)


def test_the_file_of_the_design_loads(file: Path) -> None:
    settings = Settings.load(file)
    pbx = settings.pbx["hq"]
    assert (pbx.calls_per_second, pbx.burst, pbx.max_open_calls, pbx.open_call_s) == (2.0, 1, 8, 60)
    assert pbx.secret == "s3cret"
    assert pbx.ca_file == file.parent / "hq.pem"
    assert settings.result_backend_url.endswith("/1")


def test_secrets_hide_in_repr(file: Path) -> None:
    shown = repr(Settings.load(file))
    assert "s3cret" not in shown
    assert "redis://" not in shown


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTDIAL_PBX__HQ__BURST", "7")
    monkeypatch.setenv("OUTDIAL_REDIS_URL", "redis://elsewhere:1/0")
    settings = Settings.load(file)
    assert settings.pbx["hq"].burst == 7
    assert settings.pbx["hq"].max_open_calls == 8
    assert settings.redis_url == "redis://elsewhere:1/0"


def test_the_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OUTDIAL_CONFIG", raising=False)
    monkeypatch.setenv("OUTDIAL_REDIS_URL", "redis://127.0.0.1:1/0")
    for name, value in {
        "API": "yeastar-s-v2.0",
        "BASE_URL": "https://pbx",
        "USERNAME": "u",
        "PASSWORD": "p",
    }.items():
        monkeypatch.setenv(f"OUTDIAL_PBX__HQ__{name}", value)
    assert Settings.load().pbx["hq"].api == "yeastar-s-v2.0"


def test_secrets_come_from_files(file: Path) -> None:
    (file.parent / "pw").write_text("from-file\n")
    (file.parent / "redis").write_text("redis://:pw@127.0.0.1:2/0\n")
    text = DESIGN.replace('password_env = "HQ_PBX_PASSWORD"', 'password_file = "pw"')
    file.write_text(text.replace('redis_url = "redis://127.0.0.1:6379/0"', 'redis_url_file = "redis"'))
    settings = Settings.load(file)
    assert settings.pbx["hq"].secret == "from-file"
    assert settings.redis_url == "redis://:pw@127.0.0.1:2/0"


def test_every_problem_is_told_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        DESIGN.replace("burst = 1", "burst = 0").replace("yeastar-s-v1.0", "asterisk") + "colour = 1\n"
    )
    told = problems(file)
    assert "pbx.hq.burst" in told
    assert "pbx.hq.api" in told
    assert "pbx.hq.colour: is not a setting" in told


def test_a_missing_secret_names_the_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HQ_PBX_PASSWORD")
    assert "HQ_PBX_PASSWORD is not set" in problems(file)


def test_a_missing_certificate_is_named(file: Path) -> None:
    (file.parent / "hq.pem").unlink()
    assert "pbx.hq.ca_file: hq.pem is not a file" in problems(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not toml", "is not TOML"),
        ("", "redis_url: is missing"),
        (
            DESIGN.replace("redis://127.0.0.1:6379/0", "http://127.0.0.1"),
            "redis_url: must begin with one of redis://",
        ),
        (DESIGN.replace(":6379/1", ":6379/one"), "result_backend: names a database that is no number"),
        (DESIGN + "tls_verify = false\n", "not several"),
        (DESIGN.replace("https://192.168.5.150:8088", "https://user:pw@host"), "pbx.hq.base_url"),
        (DESIGN.replace("read_timeout_s = 10", "read_timeout_s = 60"), "pbx.hq.read_timeout_s"),
        (
            DESIGN + "[metrics]\nport = 9464\napi_port = 9464\n",
            "metrics: api_port: 9464 is the port of the workers'",
        ),
        (DESIGN + "[metrics]\nport = 70000\n", "metrics.port: "),
        (DESIGN + "[replication]\nwait_s = 3\n[limits]\nattempt_deadline_s = 8\n", "replication.wait_s must be"),
        (DESIGN + "[worker]\nstop_grace_s = 5\n", "stop_grace_s"),
        (DESIGN + '[flower]\nurl_prefix = "a b"\n', "flower.url_prefix: is not a path"),
        (DESIGN + '[flower]\nusername = "a:b"\n', "flower.username: has a character"),
        (DESIGN + '[pbx.HQ]\napi = "yeastar-s-v1.0"\n', "pbx.HQ"),
    ],
)
def test_what_cannot_work_is_refused(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    assert told in problems(file)


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    assert "No such file" in problems(file.parent / "other.toml")


def test_the_time_limits_are_in_the_order_that_keeps_calls_single() -> None:
    limits = TimeLimits()
    assert limits.attempt_deadline_s < limits.claim_lease_s < limits.claim_dead_s
    assert 3 * limits.attempt_deadline_s < limits.visibility_timeout_s
    for wrong in ({"claim_lease_s": 29}, {"claim_dead_s": 38}, {"visibility_timeout_s": 90}):
        with pytest.raises(ValueError, match="must"):
            TimeLimits.model_validate(wrong)


def test_changed_credentials_change_the_mark(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Settings.load(file).pbx["hq"].credentials_mark()
    monkeypatch.setenv("HQ_PBX_PASSWORD", "other")
    assert Settings.load(file).pbx["hq"].credentials_mark() != first


# --- numbers


def with_numbers(file: Path, lines: str) -> Path:
    file.write_text(f"{file.read_text()}[pbx.hq.numbers]\n{lines}\n")
    return file


def test_number_rules_are_read_with_what_a_person_would_write(file: Path) -> None:
    assert Settings.load(file).pbx["hq"].numbers is None
    rules = Settings.load(with_numbers(file, 'country = "gb"\noutside_line = 9\ncountries = ["GB", "ie"]')).pbx[
        "hq"
    ]
    assert rules.numbers == NumberRules(country="GB", outside_line="9", countries=frozenset({"GB", "IE"}))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('country = "UK"', "pbx.hq.numbers.country: 'UK' is not a country with telephone numbers; give GB"),
        ('country = "England"', "'England' is not a country with telephone numbers; give two letters of ISO 3166"),
        ('countries = ["GB", "XX"]', "pbx.hq.numbers.countries: 'XX' is not a country"),
        ("countries = []", "pbx.hq.numbers.countries: is empty"),
        (
            'international_prefix = "00 "',
            "pbx.hq.numbers.international_prefix: '00 ' is not right; give up to 8 digits",
        ),
        ('trunk_prefix = "+"', "pbx.hq.numbers.trunk_prefix: '+' is not right; give up to 8 digits"),
        (
            'outside_line = "9w"',
            "pbx.hq.numbers.outside_line: '9w' is not right; give up to 4 characters of 0-9 * #",
        ),
        ('write = "local"', "pbx.hq.numbers.write: Input should be 'national', 'international', 'e164' or 'keep'"),
        ("internal_digits = -1", "pbx.hq.numbers.internal_digits: Input should be greater than or equal to 0"),
        ('region = "GB"', "pbx.hq.numbers.region: is not a setting"),
    ],
)
def test_number_rules_that_cannot_be_are_said_in_one_sentence(file: Path, line: str, said: str) -> None:
    sentence = problems(with_numbers(file, line))
    assert said in sentence
    assert "\n" not in sentence


SOURCE = """
[source.crm]
kind = "generic"
auth = {kind = "bearer", token_env = "CRM_TOKEN"}
map = {outto = "phone", metadata = {import_file = "data.file"}}
extensions = {anna_env = "1002"}
"""


def test_secrets_of_a_source_are_resolved_and_names_of_its_crm_are_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "s3cret")
    file.write_text(file.read_text() + SOURCE)

    settings = Settings.load(file)

    block = settings.source["crm"]
    assert block["auth"] == {"kind": "bearer", "token": "s3cret"}
    assert block["map"]["metadata"] == {"import_file": "data.file"}
    assert block["extensions"] == {"anna_env": "1002"}
    assert "s3cret" not in repr(settings)


def test_a_secret_of_a_source_that_is_not_there_or_is_there_twice_is_said(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    file.write_text(file.read_text() + SOURCE)
    assert "source.crm.auth.token_env: the environment variable CRM_TOKEN is not set" in problems(file)

    monkeypatch.setenv("CRM_TOKEN", "s3cret")
    file.write_text(file.read_text().replace("token_env", 'token = "x", token_env'))
    assert "source.crm.auth.token: is given twice; give either token or token_env" in problems(file)


# --- which process is given what

WHSEC = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
EVERYTHING = """
[flower]
password_env = "FLOWER_PASSWORD"
[api]
tls_cert = "api.pem"
[source.inbound]
kind = "generic"
auth = {kind = "bearer", token_env = "CRM_TOKEN"}
[source.telling]
kind = "bitrix24"
rest_url_env = "CRM_REST_URL"
[webhook.crm]
url = "https://crm.example/hook"
secret_env = "CRM_SECRET"
"""
OF_ROLE = {
    Role.DIALING: {"HQ_PBX_PASSWORD"},
    Role.TELLING: {"CRM_REST_URL", "CRM_SECRET"},
    Role.INTAKE: {"CRM_TOKEN", "CRM_REST_URL"},
    Role.FLOWER: {"FLOWER_PASSWORD"},
}
VALUES = {
    "HQ_PBX_PASSWORD": "s3cret-pbx",
    "FLOWER_PASSWORD": "s3cret-flower",
    "CRM_TOKEN": "s3cret-token",
    "CRM_REST_URL": "https://crm.example/rest/1/s3cret-rest/",
    "CRM_SECRET": WHSEC,
}


def everything(file: Path, monkeypatch: pytest.MonkeyPatch, *, given: set[str]) -> Path:
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value) if name in given else monkeypatch.delenv(name, raising=False)
    file.write_text(DESIGN + EVERYTHING)
    return file


def all_in(settings: Settings) -> str:
    plain = settings.model_dump(mode="python")
    pbx, flower, endpoint = settings.pbx["hq"], settings.flower, settings.webhook["crm"]
    hidden = [pbx.password, flower.password, *endpoint.secret]
    return f"{plain} {[secret.get_secret_value() for secret in hidden if secret]}"


@pytest.mark.parametrize("role", list(Role))
def test_a_process_needs_the_secrets_of_its_role_and_gets_no_others(
    file: Path, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    (file.parent / "hq.pem").unlink() if role is not Role.DIALING else None
    (file.parent / "api.pem").write_text("certificate") if role is Role.INTAKE else None

    settings = Settings.load(everything(file, monkeypatch, given=OF_ROLE[role]), roles=frozenset({role}))
    shown = all_in(settings)
    assert {name for name, value in VALUES.items() if value in shown} == OF_ROLE[role]

    settings = Settings.load(everything(file, monkeypatch, given=set(VALUES)), roles=frozenset({role}))
    shown = all_in(settings)
    assert {name for name, value in VALUES.items() if value in shown} == OF_ROLE[role]

    with pytest.raises(ConfigurationError) as refused:
        Settings.load(everything(file, monkeypatch, given=set()), roles=frozenset({role}))
    assert {name for name in VALUES if name in str(refused.value)} == OF_ROLE[role]


def test_who_hands_jobs_in_needs_no_secret_but_that_of_redis(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "hq.pem").unlink()
    settings = Settings.load(everything(file, monkeypatch, given=set()), roles=frozenset())
    with pytest.raises(ConfigurationError, match="this process was not given that of https://192"):
        settings.pbx["hq"].credentials_mark()


def test_a_password_in_the_file_does_not_reach_who_has_no_use_for_it(file: Path) -> None:
    file.write_text(DESIGN.replace('password_env = "HQ_PBX_PASSWORD"', 'password = "s3cret"'))
    assert Settings.load(file, roles=frozenset()).pbx["hq"].password is None
    assert Settings.load(file).secret_files == (file,)


def test_an_address_from_elsewhere_is_no_secret_in_the_settings_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = DESIGN.replace('redis_url = "redis://127.0.0.1:6379/0"', "")
    (file.parent / "url").write_text("redis://:s3cret@h/0")
    file.write_text(f'redis_url_file = "url"\n{without}')
    assert Settings.load(file).secret_files == (file.parent / "url",)

    file.write_text(without)
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@h/0")
    assert Settings.load(file).secret_files == ()


# --- where results are


@pytest.mark.parametrize(
    ("result_backend", "database"),
    [
        (None, 2),
        ("redis://:pw@h:7/1", 1),
        ("redis://:pw@elsewhere:7/1", None),
        ("db+sqlite:///results.sqlite", None),
    ],
)
def test_results_on_the_server_of_the_jobs_have_a_database_there(
    result_backend: str | None, database: int | None
) -> None:
    settings = Settings(redis_url="redis://:pw@h:7/2", result_backend=result_backend)
    assert settings.result_database == database


# --- passwords of Redis


@pytest.mark.parametrize(
    ("url", "complete"),
    [
        ("redis://redis:6379/0", "redis://:p%40ss%2Fword@redis:6379/0"),
        ("redis://outdial@redis/0", "redis://outdial:p%40ss%2Fword@redis/0"),
        (
            "rediss://outdial@redis/0?ssl_cert_reqs=none",
            "rediss://outdial:p%40ss%2Fword@redis/0?ssl_cert_reqs=none",
        ),
        ("redis+socket:///run/redis.sock", "redis+socket://:p%40ss%2Fword@/run/redis.sock"),
        ("sentinel://outdial@a:1,b:2/0?master=m", "sentinel://outdial:p%40ss%2Fword@a:1,b:2/0?master=m"),
    ],
)
def test_the_password_of_redis_may_come_from_a_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, url: str, complete: str
) -> None:
    (file.parent / "pw").write_text("p@ss/word\n")
    file.write_text(f'redis_password_file = "pw"\n{DESIGN}'.replace("redis://127.0.0.1:6379/0", url))
    settings = Settings.load(file)
    assert settings.redis_url == complete
    assert (settings.redis_address.password, settings.result_backend_url[-1]) == ("p@ss/word", "1")


def test_files_of_a_container_are_named_by_the_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pw").write_text("s3cret")
    (tmp_path / "results").write_text("redis://results/1")
    for name, value in {
        "REDIS_URL": "redis://outdial@redis/0",
        "REDIS_PASSWORD_FILE": "pw",
        "RESULT_BACKEND_FILE": "results",
        "RESULT_BACKEND_PASSWORD_FILE": "pw",
    }.items():
        monkeypatch.setenv(f"OUTDIAL_{name}", value)
    settings = Settings.load()
    assert settings.redis_url == "redis://outdial:s3cret@redis/0"
    assert settings.result_backend == "redis://:s3cret@results/1"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('redis_password_file = "gone"', "redis_password_file: "),
        ('redis_password_file = "empty"', "is empty; give a readable file"),
        ('redis_password_env = "NO_SUCH"', "redis_password_env: the environment variable NO_SUCH is not set"),
        (
            'redis_password_file = "pw"\nredis_url = "redis://:x@h"',
            "redis_password: is given twice; take the password",
        ),
        ('result_backend_password_file = "pw"', "result_backend_password: has no address in Redis to go with"),
    ],
)
def test_a_password_of_redis_that_cannot_be_is_said_in_one_sentence(file: Path, lines: str, told: str) -> None:
    (file.parent / "pw").write_text("s3cret")
    (file.parent / "empty").write_text("\n")
    file.write_text(lines if "redis_url" in lines else f'redis_url = "redis://h"\n{lines}')
    sentence = problems(file)
    assert told in sentence
    assert "s3cret" not in sentence


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Let nobody look into a folder for a while, ourselves included if we are root, whom no mode keeps out."""
    is_root = os.geteuid() == 0
    folder.chmod(0)
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_secrets_in_a_folder_that_is_closed_to_us_are_told_in_a_sentence_each(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "pw").write_text("s3cret")
    reader = SecretReader(tmp_path)
    with closed(folder):
        assert reader.read(None, Path("secrets/pw"), "pbx.hq.password") is None
        assert unreadable(folder / "ca.pem") == "cannot be read (Permission denied)"
    told = f"pbx.hq.password_file: {folder / 'pw'}: Permission denied; give a readable file holding the secret"
    assert reader.problems == [told]


def test_files_that_everybody_may_read_are_known(file: Path) -> None:
    for name, mode in (("open", 0o644), ("changed", 0o660), ("owner", 0o600), ("group", 0o640)):
        (file.parent / name).write_text("s3cret")
        (file.parent / name).chmod(mode)
    files = [file.parent / name for name in ("open", "changed", "owner", "group", "gone")]
    assert [found.name for found in open_to_others([*files, Path("/run/secrets/pw")])] == ["open", "changed"]

"""The sections `[webhook.NAME]` and `[webhooks]`: clear sentences, and secrets that show nowhere."""

from pathlib import Path

import pytest

from worker.errors import ConfigurationError
from worker.settings import Settings

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
URL = 'url = "https://crm.example.com/hook?key=k3y"'
GOOD = f'{URL}\nsecret = "{SECRET}"\n'


def load(folder: Path, block: str, *, more: str = "") -> Settings:
    file = folder / "outdial.toml"
    file.write_text(f'redis_url = "redis://127.0.0.1:1/0"\n[webhook.crm]\n{block}\n{more}')
    return Settings.load(file)


def problem(folder: Path, block: str, *, more: str = "") -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(folder, block, more=more)
    assert all(secret not in str(refused.value) for secret in ("MfKQ9r8G", "k3y", "t0ken"))
    return str(refused.value)


def test_secrets_come_from_the_file_the_environment_and_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    (tmp_path / "new.secret").write_text(OTHER + "\n")

    settings = load(tmp_path, f'{URL}\nsecret_env = "CRM_SECRET"\nsecret_file = ["new.secret"]')

    assert [secret.get_secret_value() for secret in settings.webhook["crm"].secret] == [SECRET, OTHER]
    assert all(text not in repr(settings) for text in (SECRET, OTHER, "k3y"))


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (URL, "webhook.crm.secret: is missing; give secret_env or secret_file"),
        (f'secret = "{SECRET}"', "webhook.crm.url: is missing"),
        (f'{URL}\nsecret = "whsec_MfKQ9r8GKYqrTwjU"', "24 to 64 random bytes"),
        (f'{URL}\nsecret = "{SECRET[6:]}"', "is not a secret of Standard Webhooks"),
        (f'{URL}\nsecret_env = "NOT_SET"', "the environment variable NOT_SET is not set"),
        (f'{URL}\nsecret_file = "nowhere"', "nowhere"),
        (f'url = "http://crm.example.com/?k3y"\nsecret = "{SECRET}"', "webhook.crm: url: is not https"),
        (f'url = "https://u:t0ken@crm.example.com"\nsecret = "{SECRET}"', "url: has a user name"),
        (f'url = "https://crm.example.com:99999/"\nsecret = "{SECRET}"', "url: is not an address"),
        (f'url = "https://crm.example.com/a b"\nsecret = "{SECRET}"', "url: is not an address"),
        (f'{GOOD}states = ["placed", "waiting"]', "'waiting' is no end of a job"),
        (f'{GOOD}origins = ["web"]', "webhook.crm.origins.0"),
        (f'{GOOD}allow_networks = "10.0.0.1/8"', "'10.0.0.1/8' is not a network; give one such as 10.0.0.0/8"),
        (f'{GOOD}headers = {{ Host = "x" }}', "'Host' cannot be set"),
        (f'{GOOD}headers = {{ X-Key = "t0ken\\r\\nX-Other: 1" }}', "the value of X-Key cannot be sent"),
        (f'{GOOD}ca_file = "nowhere.pem"', "webhook.crm.ca_file: nowhere.pem is not a file"),
        (f"{GOOD}timeout_s = 60", "webhook.crm.timeout_s"),
        (f'{GOOD}colour = "red"', "webhook.crm.colour: is not a setting"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(tmp_path: Path, block: str, told: str) -> None:
    assert told in problem(tmp_path, block)


def test_what_is_said_of_a_source_needs_that_source(tmp_path: Path) -> None:
    assert "there is no [source.pd]" in problem(tmp_path, GOOD, more="[webhooks.sources.pd]\nallow_http = true")


def test_patience_can_be_set(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD, more="[webhooks]\nretry_s = [1, 2]\ndisable_after_s = 60")
    assert (settings.webhooks.retry_s, settings.webhooks.disable_after_s) == ((1, 2), 60)

"""Who asks for what at Flower's door."""

import pytest

from ops.flower.__main__ import _basic_auth
from worker.errors import ConfigurationError
from worker.settings import FlowerSettings


def login(**settings: str) -> str | None:
    return _basic_auth(FlowerSettings.model_validate(settings))


def test_the_settings_password_is_asked_for() -> None:
    assert login(username="anna", password="s3cret") == "anna:s3cret"


def test_without_a_password_one_is_made_up_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = login(), login()
    assert first is not None
    assert first != second
    assert first.removeprefix("operator:") in capsys.readouterr().err


@pytest.mark.parametrize("password", ["a,b", "gue\u00df"])
def test_a_password_flower_cannot_check_is_refused(password: str) -> None:
    with pytest.raises(ConfigurationError, match="choose another") as refused:
        login(password=password)
    assert password not in str(refused.value)


def test_oauth_asks_alone_where_no_password_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_AUTH", ".*@example.com")
    assert login() is not None, "there is nobody to ask yet"
    monkeypatch.setenv("FLOWER_AUTH_PROVIDER", "flower.views.auth.GithubLoginHandler")
    assert login() is None
    assert login(password="s3cret") == "operator:s3cret"

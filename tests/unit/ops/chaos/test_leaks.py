"""The search for leaks finds each secret whole, and nothing that only looks like a part of one."""

from base64 import b64encode
from pathlib import Path

import pytest

from ops.chaos.leaks import SHORTEST, leaks_in, leaks_in_texts, secret_of
from producers.apikeys import Credential

# Secrets are base64url: an underscore may stand anywhere, and what follows the last one may be a word of any text.
SECRETS = {
    "one underscore near the end": "Zk3vQh7TfWm2xYb9LdRc5NgJpUa8SeHo1iKqVt6w_in",
    "an underscore at the end": "Zk3vQh7TfWm2xYb9LdRc5NgJpUa8SeHo1iKqVt6wXz_",
    "an underscore at the beginning": "_k3vQh7TfWm2xYb9LdRc5NgJpUa8SeHo1iKqVt6wXzY",
    "no underscore": "Zk3vQh7TfWm2xYb9LdRc5NgJpUa8SeHo1iKqVt6wXzY",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_the_whole_secret_of_an_api_key_is_searched_for(secret: str) -> None:
    key = f"outdial_0123456789ab_{secret}"
    assert Credential.of(key) is not None
    assert secret_of(key) == secret
    texts = {"the API": "the job is in its lane", "the log": f"key_id=0123456789ab {secret[:20]}", "a page": key}
    assert leaks_in_texts(texts, {secret_of(key): "an API key"}) == ["a page shows an API key"]


def test_a_text_too_short_to_be_searched_for_is_refused() -> None:
    with pytest.raises(ValueError, match="an API key: too short to search for; expected at least 8 characters"):
        leaks_in_texts({"a page": ""}, {"x" * SHORTEST: "a token", "x" * (SHORTEST - 1): "an API key"})


def test_leaks_are_found_and_not_repeated(tmp_path: Path) -> None:
    log = tmp_path / "crew-a.log"
    clean = tmp_path / "crew-b.log"
    log.write_text('{"event":"x","outto":"0205550100"}\nPOST /api?token=abc\n')
    clean.write_text('{"event":"x","url":"/api?token=***"}\n')
    leaks = leaks_in([log, clean], {"0205550100": "a dialed number", "hush-hush": "a password"})
    assert leaks == ["crew-a.log shows a dialed number", "crew-a.log shows a token in an address"]


def test_leaks_are_found_in_the_bodies_that_celery_wraps() -> None:
    for before in ("", "x", "xy"):
        body = b64encode(f'{before}[["id"], {{"outto": "0205550100"}}, null]'.encode()).decode()
        texts = {"a queue": f'{{"body": "{body}", "headers": {{}}}}', "a path": "/usr/share/outdial/simulator/hq"}
        assert leaks_in_texts(texts, {"0205550100": "a dialed number"}) == ["a queue shows a dialed number"]

"""The doctor's lines: what is wrong, and what to do."""

import pytest

from worker.health import parted


@pytest.mark.parametrize(
    ("sentence", "problem", "advice"),
    [
        (
            "the PBX could not be reached: connection refused",
            "the PBX could not be reached: connection refused",
            "-",
        ),
        ("its TLS certificate is revoked; issue a new one", "its TLS certificate is revoked", "issue a new one"),
        ("it refused; look here; or there", "it refused", "look here; or there"),
        (
            "log-in failed (http_404: refused (HTTP 404); check api)",
            "log-in failed (http_404: refused (HTTP 404))",
            "check api",
        ),
        ("log-in failed (20003: wrong password)", "log-in failed (20003: wrong password)", "-"),
    ],
)
def test_advice_that_a_sentence_brings_takes_the_place_of_the_usual_one(
    sentence: str, problem: str, advice: str
) -> None:
    assert parted(sentence, "-") == (problem, advice)

"""The description of the intake says what it does: schemathesis finds no answer that is not in it."""

from pathlib import Path

from ops.embedded_redis import EmbeddedRedis
from tests.acceptance.intake import intake
from tests.fuzz.run import fuzz


def test_the_description_is_true(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str) -> None:
    with intake(tmp_path, redis_server.url, namespace) as running:
        done = fuzz(
            running.client(),
            examples=2,
            seed=1,
            options=["--generation-deterministic", "--phases", "examples,coverage,fuzzing"],
        )
        assert "request_failed" not in running.log.read_text()
    assert (done.exit_code, done.cases > 300) == (0, True), done.text

"""A scrape ends in time and tells no more than is known, whatever Redis does."""

import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from structlog.testing import capture_logs

from worker.metrics.installation import InstallationCollector

Heard = Callable[[], None]


class Asked:
    """A state that is asked for as each test says: it hangs, is slow, or fails."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.is_heard = True
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.hangs = threading.Event()
        self.begun = 0

    def __call__(self, heard: Heard) -> list[Metric]:
        self.begun += 1
        if self.is_heard:
            heard()
        if not self.goes_on.is_set():
            self.hangs.set()
        self.goes_on.wait(60)
        if self.error:
            raise self.error
        return [GaugeMetricFamily("outdial_workers", "Help.", value=self.begun)]


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.goes_on.set()


def told(collector: InstallationCollector) -> dict[str, float]:
    return {metric.name: metric.samples[0].value for metric in collector.collect()}


def time_runs_out_when_it_hangs(collector: InstallationCollector, asked: Asked) -> None:
    """Let the collector wait for as long as it takes until its question hangs, and no longer."""
    collector._changed.wait_for = lambda _predicate, _within_s: not asked.hangs.wait(60)  # type: ignore[method-assign]


def test_each_scrape_asks_anew(asked: Asked) -> None:
    collector = InstallationCollector(asked, within_s=60)
    assert told(collector) == {"outdial_redis_up": 1, "outdial_workers": 1}
    assert told(collector) == {"outdial_redis_up": 1, "outdial_workers": 2}


def test_a_redis_that_hangs_is_not_up_and_nothing_old_is_told(asked: Asked) -> None:
    collector = InstallationCollector(asked, within_s=60)
    told(collector)
    time_runs_out_when_it_hangs(collector, asked)
    asked.is_heard = False
    asked.goes_on.clear()
    assert told(collector) == {"outdial_redis_up": 0}
    assert told(collector) == {"outdial_redis_up": 0}
    assert asked.begun == 2, "it is asked one question at a time"


def test_a_large_installation_is_told_as_it_was_a_moment_ago(asked: Asked) -> None:
    collector = InstallationCollector(asked, within_s=60)
    told(collector)
    time_runs_out_when_it_hangs(collector, asked)
    asked.goes_on.clear()
    assert told(collector) == {"outdial_redis_up": 1, "outdial_workers": 1}


def test_the_first_scrape_of_a_large_installation_says_that_redis_is_up(asked: Asked) -> None:
    asked.goes_on.clear()
    collector = InstallationCollector(asked, within_s=60)
    time_runs_out_when_it_hangs(collector, asked)
    assert told(collector) == {"outdial_redis_up": 1}


def test_a_redis_that_refuses_is_not_up_and_said_once(asked: Asked) -> None:
    collector = InstallationCollector(asked, within_s=60)
    asked.error = redis.ConnectionError("no")
    with capture_logs() as logs:
        assert told(collector) == told(collector) == {"outdial_redis_up": 0}
        asked.error = None
        assert told(collector)["outdial_redis_up"] == 1
    assert [line["event"] for line in logs] == ["redis_away", "redis_back"]


def test_what_cannot_be_read_is_no_reason_to_tell_nothing(asked: Asked) -> None:
    asked.error = ValueError("spoiled")
    with capture_logs() as logs:
        assert told(InstallationCollector(asked, within_s=60)) == {"outdial_redis_up": 1}
    assert [line["event"] for line in logs] == ["state_not_told"]

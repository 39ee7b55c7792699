"""What every delivery of every CRM comes to in Redis."""

from producers import Dialer, hooks
from tests.unit.producers.crm.deliveries import adapter_of, delivery_of, fixtures
from worker.jobs import JobState


def test_a_delivery_that_comes_again_adds_no_second_job(dialer: Dialer) -> None:
    seen = set()
    for fixture in fixtures():
        adapter, delivery = adapter_of(fixture), delivery_of(fixture)
        first = hooks.take(dialer, adapter, adapter.read(delivery))
        again = hooks.take(dialer, adapter, adapter.read(delivery))
        assert [verdict.job_id for verdict in again] == [verdict.job_id for verdict in first], fixture
        assert not any(verdict.is_new for verdict in again), fixture
        assert 200 <= adapter.answer(again).status < 300, fixture
        seen |= {verdict.state for verdict in first}
    assert seen >= {JobState.WAITING}

"""What one host tells of its processes."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from tests.unit.worker.metrics.conftest import Begin
from worker.metrics.catalogue import Source, families_of
from worker.metrics.counting import begin_in_memory
from worker.metrics.host import HostCollector
from worker.metrics.meters import Meters


def lines_of(meters: Meters, *, source: Source = "worker", folder: Path | None = None) -> list[str]:
    registry = CollectorRegistry()
    names = {"pbx": ["hq"], "endpoint": ["crm"]}
    families = families_of(source, "both")
    registry.register(HostCollector(families, meters, folder=folder, names=names, version="1.2"))
    return generate_latest(registry).decode().splitlines()


def test_what_is_known_beforehand_is_told_as_0() -> None:
    lines = lines_of(begin_in_memory(["hq"]))
    assert 'outdial_claims_total{pbx="hq"} 0.0' in lines
    assert 'outdial_permits_total{pbx="hq",use="look"} 0.0' in lines
    assert 'outdial_attempts_total{errno="",outcome="placed",pbx="hq"} 0.0' in lines
    assert 'outdial_webhook_attempts_total{endpoint="crm",result="dead"} 0.0' in lines
    assert "outdial_worker_process_starts_total 0.0" in lines
    assert 'outdial_build_info{version="1.2"} 1.0' in lines


def test_every_metric_has_its_help_and_its_type_once(begin: Begin, tmp_path: Path) -> None:
    begin("dialer1").note(1, "outdial_post_seconds", "hq")
    lines = lines_of(begin_in_memory([]), folder=tmp_path)
    for family in families_of("worker", "both"):
        assert lines.count(f"# HELP {family.name} {family.help}") == 1
        assert lines.count(f"# TYPE {family.name} {family.type}") == 1
    assert not [line for line in lines if "_created" in line]


def test_counts_of_this_process_and_of_others_are_added_up(begin: Begin, tmp_path: Path) -> None:
    for name in ("dialer1", "dialer2"):
        begin(name).note(1, "outdial_redis_away_total")
    own = begin_in_memory([])
    own.note(1, "outdial_redis_away_total")
    own.note(2, "outdial_worker_process_starts_total")
    lines = lines_of(own, folder=tmp_path)
    assert "outdial_redis_away_total 3.0" in lines
    assert "outdial_worker_process_starts_total 2.0" in lines


def test_a_host_of_workers_tells_nothing_of_an_intake_and_the_other_way_round() -> None:
    meters = begin_in_memory([])
    meters.note(1, "outdial_jobs_accepted_total", "api")
    meters.note(1, "outdial_claims_total", "hq")
    assert not [line for line in lines_of(meters) if "jobs_accepted" in line]
    told = lines_of(meters, source="api")
    assert 'outdial_jobs_accepted_total{door="api"} 1.0' in told
    assert not [line for line in told if "claims" in line]

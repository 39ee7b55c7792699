"""The whole product on a page: a CSV file in, calls placed over HTTPS, results out by every way."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, eventually, installation

PBXS = ("alpha", "beta", "gamma")
ROWS = 600
LIMIT = 40


@pytest.fixture
def site(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str):
    options = ("--extensions", "1000-1009", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
    with installation(tmp_path, redis_server, namespace, **dict.fromkeys(PBXS, options)) as site:
        site.write_settings(calls_per_second=LIMIT, burst=1, max_open_calls=8, open_call_s=0.15, **PATIENT)
        yield site


def leads() -> tuple[str, int]:
    """600 good rows over 3 PBXs and 30 extensions, 40 of them the same wish twice, and 5 bad ones."""
    rows = io.StringIO()
    write = csv.writer(rows)
    write.writerow(["extid", "outto", "pbx", "priority", "metadata.lead"])
    for n in range(ROWS):
        write.writerow([1000 + n // 3 % 10, f"020555{n % (ROWS - 40):04d}", PBXS[n % 3], "normal", f"L-{n}"])
    for bad in (
        ["12ab", "0205550100"],
        ["1001", "+1 (202) 555"],
        ["1001", ""],
        ["", "0205550100"],
        ["1", "5", "nowhere"],
    ):
        write.writerow(bad)
    return rows.getvalue(), 5


def test_every_good_row_rings_once_and_every_bad_one_is_named(site: Installation) -> None:
    text, bad = leads()
    file, rejects = site.folder / "leads.csv", site.folder / "rejects.csv"
    file.write_text(text)

    with site.workers(processes=4, concurrency=8):
        first = site.outdial("import", str(file), "--rejects", str(rejects), "--json")
        again = site.outdial("import", str(file), "--rejects", str(rejects), "--json")
        eventually(lambda: site.hopper.client.zcard(site.hopper.keys.ended) == ROWS)
        shown = eventually(
            lambda: (
                (rows := site.outdial("results", "--format", "ndjson").stdout.splitlines())
                and len(rows) == ROWS
                and rows
            )
        )

    assert (first.returncode, json.loads(first.stdout)["added"]) == (2, ROWS)
    assert json.loads(again.stdout)["added"] == 0
    lines = [int(row["outdial_line"]) for row in csv.DictReader(io.StringIO(rejects.read_text()))]
    assert lines == [ROWS + 2 + n for n in range(bad)]

    results = [json.loads(line) for line in shown]
    rings = {ring.callid: (name, ring) for name in PBXS for ring in site.pbxs[name].rings()}
    assert Counter(result["state"] for result in results) == {"placed": ROWS}
    assert sorted(result["callid"] for result in results) == sorted(rings)
    celery = site.plain_celery()
    for result in results:
        name, ring = rings[result["callid"]]
        number = int(result["metadata"]["lead"].removeprefix("L-"))
        assert (
            (name, ring.extid)
            == (result["pbx"], result["extid"])
            == (PBXS[number % 3], str(1000 + number // 3 % 10))
        )
        assert ring.outto == f"020555{number % (ROWS - 40):04d}"
    for result in results[::20]:
        assert celery.AsyncResult(result["job_id"]).get(timeout=GENEROUS_S) == result


def test_the_limit_holds_over_all_workers(site: Installation) -> None:
    with site.workers(processes=4, concurrency=4):
        site.outdial(
            "import",
            "-",
            text="extid,outto,pbx\n" + "".join(f"100{n % 10},0205550{n:03d},alpha\n" for n in range(120)),
        )
        eventually(lambda: site.hopper.client.zcard(site.hopper.keys.ended) == 120)
    claims = sorted(
        float(site.hopper.record(job_id)["claimed_at"])
        for job_id in site.hopper.client.zrange(site.hopper.keys.ended, 0, -1)
    )
    assert all(claims[n + LIMIT] - claims[n] >= 1.0 for n in range(len(claims) - LIMIT))

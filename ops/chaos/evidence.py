"""Collects what the parts left behind, once they have stopped."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ops.chaos.account import Evidence, Job, Moment, Traits, Violation
from ops.chaos.leaks import leaks_in
from ops.chaos.plan import Deed
from ops.chaos.producer import Handed, Producer
from ops.chaos.site import CALL_S, PBXS, Site
from worker.hopper import connect

_BATCH = 500
_NOT_PRINTED = "outto"


def unfinished(site: Site, handed: Iterable[Handed]) -> int:
    """Return how many jobs are not over, or whose result is not delivered yet."""
    ids = [one.job_id for one in handed]
    results = [result for batch in _batches(ids) for result in site.hopper.results(batch)]
    client: Any = site.client
    undelivered = int(client.zcard(f"{site.hopper.keys.namespace}:outbox"))
    return len(ids) - sum(result.state.is_final for result in results) + undelivered


def gather(
    site: Site, producer: Producer, deeds: Sequence[Deed], *, traits: dict[str, Traits], tokens: set[str]
) -> Evidence:
    """
    Return the evidence of a run.

    Args:
        site: Its workers stopped, its server still running.
        producer: Done.
        deeds: What was carried out.
        traits: Of each kind of fault.
        tokens: Of the PBXs, as many as were seen.
    """
    jobs = _jobs(site, list(producer.handed.values()))
    return Evidence(
        jobs=jobs,
        rings={name: site.installation.pbxs[name].rings() for name in PBXS},
        hits={name: site.installation.pbxs[name].hits() for name in PBXS},
        deeds=sorted(deeds, key=lambda deed: deed.began_at),
        traits=traits,
        call_s=CALL_S,
        handed_in_until=max((float(job.record.get("enqueued_at", 0)) for job in jobs), default=0),
        complaints=[
            *(Violation("producer", sentence) for sentence in producer.complaints),
            *(Violation("leak", sentence) for sentence in _leaks(site, jobs, tokens)),
        ],
    )


def _jobs(site: Site, handed: Sequence[Handed]) -> list[Job]:
    jobs = []
    with connect(site.installation.result_backend) as results:
        for batch in _batches(handed):
            told: Any = results.mget([f"celery-task-meta-{one.job_id}" for one in batch])
            jobs += [_job(site, one, meta) for one, meta in zip(batch, told, strict=True)]
    return jobs


def _job(site: Site, handed: Handed, meta: str | None) -> Job:
    order, record = handed.order, site.hopper.record(handed.job_id)
    shown = {name: text for name, text in record.items() if name != _NOT_PRINTED and not name.startswith("~")}
    return Job(
        job_id=handed.job_id,
        pbx=order.pbx,
        extid=order.extid,
        outto=order.outto,
        may_ring_again=order.on_unknown == "redial",
        record=shown,
        timeline=_timeline(site, handed.job_id),
        delivered=_told(meta),
    )


def _timeline(site: Site, job_id: str) -> tuple[Moment, ...]:
    timeline = getattr(site.hopper, "timeline", None)
    if timeline is None:
        return ()
    return tuple(Moment(moment.at, moment.state, moment.who, moment.reason) for moment in timeline(job_id))


def _told(meta: str | None) -> str:
    """Return the job's state out of what Celery's Redis backend stores."""
    if meta is None:
        return ""
    result = json.loads(meta)["result"]
    # An error carries a sentence and the result (see `worker.results.store`).
    facts = result["exc_message"][1] if "exc_message" in result else result
    return str(facts["state"])


def _leaks(site: Site, jobs: Sequence[Job], tokens: set[str]) -> list[str]:
    secrets = {job.outto: "a dialed number" for job in jobs} | dict.fromkeys(tokens, "a token")
    secrets |= {text: what for what, text in site.secrets().items() if text}
    return leaks_in(site.logs(), secrets)


def _batches(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))

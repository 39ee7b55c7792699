"""Collects what the parts left behind, once they have stopped."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ops.chaos import surfaces
from ops.chaos.account import Evidence, Job, Moment, Traits, Violation
from ops.chaos.bystanders import get
from ops.chaos.leaks import leaks_in, leaks_in_texts
from ops.chaos.plan import Deed
from ops.chaos.producer import Handed, Producer
from ops.chaos.site import CALL_S, NAMESPACE, PBXS, Site
from worker.hopper import connect

_BATCH = 500
# Commands at a time; more starts of Python would only wait for each other.
_AT_ONCE = 4
_NOT_PRINTED = "outto"
# What the server wrote, and its clock may have been set meanwhile.
_TIMES = ("enqueued_at", "claimed_at", "finished_at", "placed_at")


def unfinished(site: Site, handed: Iterable[Handed]) -> int:
    """Return how many jobs are not over, or whose result is not delivered yet."""
    ids = [one.job_id for one in handed]
    results = [result for batch in _batches(ids) for result in site.hopper.results(batch)]
    client: Any = site.client
    undelivered = int(client.zcard(f"{site.hopper.keys.namespace}:outbox"))
    return len(ids) - sum(result.state.is_final for result in results) + undelivered


def gather(
    site: Site,
    producer: Producer,
    deeds: Sequence[Deed],
    *,
    traits: dict[str, Traits],
    tokens: set[str],
    texts: Mapping[str, str],
) -> Evidence:
    """
    Return the evidence of a run.

    Args:
        site: Its workers stopped, its server still running.
        producer: Done.
        deeds: What was carried out.
        traits: Of each kind of fault.
        tokens: Of the PBXs, as many as were seen.
        texts: What was seen on every surface before the workers stopped, {surface: text}.
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
            *(Violation("leak", sentence) for sentence in _leaks(site, jobs, tokens, texts)),
            *(
                Violation("blind", f"{surface} shows nothing")
                for surface, text in texts.items()
                if not _is_shown(text)
            ),
        ],
    )


def seen_of(site: Site, producer: Producer) -> dict[str, str]:
    """Return what every surface shows while all is still running, {surface: text}."""
    bystanders, receivers, some = site.bystanders, site.receivers, _of_each_state(site, producer)
    with connect(site.installation.result_backend) as results:
        texts = surfaces.of_redis(site.client, results, NAMESPACE)
    texts |= surfaces.of_flower(bystanders.flower, some)
    texts |= surfaces.of_intake(bystanders.intake.get, some)
    texts |= _said(site, [*surfaces.commands(some), "doctor"])
    texts |= surfaces.of_processes(os.getpid(), "cmdline")
    addresses = [*(f"http://127.0.0.1:{port}/metrics" for port in site.metrics_ports.values())]
    texts |= {f"metrics at {address}": get(address) for address in (*addresses, bystanders.metrics_url)}
    texts["what is published"] = bystanders.published.text
    texts["what the CRM is told"] = receivers.crm.text
    texts["traces"] = receivers.collector.text
    return texts


def _said(site: Site, commands: Sequence[str]) -> dict[str, str]:
    """Return what commands of `outdial` say, to stdout and stderr."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = list(pool.map(lambda command: site.installation.outdial(*command.split()), commands))
    return {f"outdial {command}": one.stdout + one.stderr for command, one in zip(commands, done, strict=True)}


def _of_each_state(site: Site, producer: Producer) -> list[str]:
    """Return ids of one job for each state that some job is in."""
    ids = [one.job_id for one in producer.handed.values()]
    results = [result for batch in _batches(ids) for result in site.hopper.results(batch)]
    return list({result.state: result.job_id for result in results}.values())


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
    shown |= {name: str(site.clock.real_time(float(shown[name]))) for name in _TIMES if name in shown}
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
    real = site.clock.real_time
    return tuple(Moment(real(moment.at), moment.state, moment.who, moment.reason) for moment in timeline(job_id))


def _told(meta: str | None) -> str:
    """Return the job's state out of what Celery's Redis backend stores."""
    if meta is None:
        return ""
    result = json.loads(meta)["result"]
    # An error carries a sentence and the result (see `worker.results.store`).
    facts = result["exc_message"][1] if "exc_message" in result else result
    return str(facts["state"])


def _leaks(site: Site, jobs: Sequence[Job], tokens: set[str], texts: Mapping[str, str]) -> list[str]:
    secrets = {job.outto: "a dialed number" for job in jobs} | dict.fromkeys(tokens, "a token")
    secrets |= site.secrets()
    return leaks_in(site.logs(), secrets) + leaks_in_texts(texts, secrets)


def _is_shown(text: str) -> bool:
    """Whether a surface shows something that could be searched; pages have their status on top."""
    return bool(text.strip()) and not text.startswith(("4", "5"))


def _batches(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))

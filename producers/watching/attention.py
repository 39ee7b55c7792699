"""What somebody on call should look at, the worst first; decided from a scene alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from producers.masking import masked
from producers.obstacles import of_all_pbxs
from producers.pauses import author_words
from producers.times import duration, told
from producers.watching.scene import PbxScene, Scene, Trouble
from worker.hopper import EndpointView, PbxGlance
from worker.jobs import JobState

# Results that wait for their backend; one that is well keeps them below a few dozen.
_UNDELIVERED = 1000
_DIALED = (JobState.PLACED, JobState.FAILED, JobState.UNKNOWN)
# Fewer than this may all fail by chance.
_ENOUGH = 5
# More PBXs with the same trouble are told in one sentence.
_MOST_ALIKE = 3


class Level(IntEnum):
    """How bad it is."""

    BAD = 0  # no call begins, somewhere or anywhere
    WARNING = 1  # dialing goes on, and a person has to act
    NOTE = 2  # somebody wanted it so


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing to look at: a sentence, and what to do about it: a `command` or some `advice`, or neither."""

    level: Level
    sentence: str
    command: str = ""
    advice: str = ""


def concerns(scene: Scene) -> list[Concern]:
    """Return all there is to look at, the worst first, and what concerns all PBXs before what concerns one."""
    found = [*_everywhere(scene), *_server(scene), *_results(scene), *_pbxs(scene)]
    return sorted(found, key=lambda concern: concern.level)


def _everywhere(scene: Scene) -> Iterator[Concern]:
    overview = scene.overview
    if overview.everything_paused:
        author = author_words(overview.everything_pause, now=overview.at)
        yield Concern(Level.BAD, f"everything is paused{author}", "outdial resume --all")
    for stop in of_all_pbxs(overview.held_why, overview.refusal, len(overview.workers)):
        if stop.kind == "no_worker":
            waits = f", and {_jobs(scene.waiting)} could go" if scene.waiting else ""
            yield Concern(Level.BAD, f"{stop.sentence}{waits}", "outdial worker")
        elif not (overview.refusal == "READONLY" and scene.slow.server.is_replica):
            yield Concern(Level.BAD, stop.sentence, advice=stop.advice)
    dialed = scene.minute.of(*_DIALED)
    if dialed >= _ENOUGH and not scene.minute.of(JobState.PLACED):
        yield Concern(Level.BAD, f"none of the {dialed:,} jobs dialed in the last minute was placed")
    if scene.slow.unknowns:
        least = "" if scene.slow.counted_all_unknowns else "at least "
        text = f"{least}{_jobs(scene.slow.unknowns)} of the last day may have rung, and nobody knows"
        yield Concern(Level.WARNING, text, "outdial results --state unknown")
    if overview.set_aside:
        text = f"{overview.set_aside:,} messages, jobs or results could not be used and were set aside"
        yield Concern(Level.WARNING, text, "outdial doctor")


def _server(scene: Scene) -> Iterator[Concern]:
    server = scene.slow.server
    if server.is_replica:
        advice = "name the primary by redis_url"
        yield Concern(Level.BAD, "this Redis is a replica and takes no jobs", advice=advice)
    elif server.replicas < (wanted := scene.slow.wait_replicas):
        text = f"{server.replicas} replicas are connected and wait_replicas is {wanted}: nobody dials"
        yield Concern(Level.BAD, text, advice="bring the replicas back, or lower wait_replicas")
    if server.is_nearly_full and not scene.overview.refusal:
        text = f"Redis is {server.memory_share:.0%} full; at its limit nobody dials"
        yield Concern(Level.WARNING, text, "outdial doctor")
    if not server.is_append_only:
        text = "Redis's append-only file is off: a restart loses jobs"
        yield Concern(Level.WARNING, text, advice="set appendonly yes")


def _results(scene: Scene) -> Iterator[Concern]:
    if scene.overview.undelivered > _UNDELIVERED:
        yield Concern(Level.WARNING, f"{scene.overview.undelivered:,} results have not reached their backend")
    if scene.slow.endpoint_count and not scene.slow.couriers:
        yield Concern(Level.WARNING, "no webhook process is running: no results are told", "outdial worker")
    for endpoint in scene.slow.endpoints:
        yield from _endpoint(endpoint, scene.overview.at)


def _endpoint(endpoint: EndpointView, now: float) -> Iterator[Concern]:
    name = endpoint.name
    if endpoint.state == "disabled":
        text = f"endpoint {name} is disabled: {masked(endpoint.disabled_why)}"
        yield Concern(Level.WARNING, text, f"outdial webhooks enable {name}")
    elif endpoint.state == "failing":
        since, why = duration(now - endpoint.failing_since), masked(endpoint.last_error)
        text = f"endpoint {name} fails for {since}, {endpoint.waiting:,} to tell: {why}"
        yield Concern(Level.WARNING, text, f"outdial webhooks test {name}")
    if endpoint.dead:
        text = f"endpoint {name}: {endpoint.dead:,} results were given up"
        yield Concern(Level.WARNING, text, f"outdial webhooks failed --endpoint {name}")


_LEVELS = {
    Trouble.BREAKER: Level.BAD,
    Trouble.LOGIN: Level.BAD,
    Trouble.ALL_FAIL: Level.BAD,
    Trouble.STUCK: Level.WARNING,
    Trouble.NOT_KNOWN: Level.WARNING,
    Trouble.PAUSED: Level.NOTE,
}
_ALIKE = {
    Trouble.BREAKER: "have their breakers open",
    Trouble.LOGIN: "have their log-ins barred",
    Trouble.ALL_FAIL: "placed no call in the last minute, and several failed",
    Trouble.STUCK: "have jobs that could go, and placed none in the last minute",
    Trouble.NOT_KNOWN: "are known to no worker: `outdial reload` gives them these settings",
    Trouble.PAUSED: "are paused",
}


def _pbxs(scene: Scene) -> Iterator[Concern]:
    # Where nobody dials at all, no PBX is to blame for standing still.
    stands_still = bool(scene.standstill)
    ranked = scene.ranked()
    for trouble, level in _LEVELS.items():
        alike = [pbx for pbx in ranked if pbx.trouble is trouble]
        if stands_still and trouble in (Trouble.STUCK, Trouble.NOT_KNOWN):
            continue
        if len(alike) > _MOST_ALIKE:
            yield Concern(level, f"{_names(alike)} {_ALIKE[trouble]}")
        else:
            yield from (_pbx(pbx, trouble, scene.overview.at) for pbx in alike)
    yield from _extensions([pbx.glance for pbx in ranked if pbx.glance.paused_lanes], scene.overview.at)


def _extensions(glances: Sequence[PbxGlance], now: float) -> Iterator[Concern]:
    pairs = [(glance.name, lane) for glance in glances for lane in glance.paused_lanes]
    if len(pairs) > _MOST_ALIKE:
        text = (
            f"{len(pairs):,} extensions are paused on {', '.join(glance.name for glance in glances[:_MOST_ALIKE])}"
        )
        more = f" and {len(glances) - _MOST_ALIKE:,} more PBXs" if len(glances) > _MOST_ALIKE else ""
        yield Concern(Level.NOTE, text + more, "outdial lanes -v")
        return
    for name, lane in pairs:
        text = f"{name}: extension {lane.extid} is paused{author_words(lane.pause, now=now)}"
        yield Concern(Level.NOTE, text, f"outdial resume {name} --extension {lane.extid}")


def _pbx(pbx: PbxScene, trouble: Trouble, now: float) -> Concern:
    glance, level = pbx.glance, _LEVELS[trouble]
    name, breaker = glance.name, glance.breaker
    reason = masked(breaker.reason) or "no reason was given"
    since = f" since {told(breaker.since)[11:19]}" if breaker.since else ""
    has_advice = "; " in reason
    match trouble:
        case Trouble.BREAKER:
            advice = "" if has_advice else "is the PBX up?"
            return Concern(level, f"{name}: breaker {breaker.state}{since}: {reason}", advice=advice)
        case Trouble.LOGIN:
            text = f"{name}: log-in barred{since}, for {duration(breaker.seconds)} more: {reason}"
            return Concern(level, text, advice="" if has_advice else "check username and password")
        case Trouble.ALL_FAIL:
            text = f"{name}: none of the {_jobs(pbx.not_placed_minute)} dialed in the last minute was placed"
            return Concern(level, text)
        case Trouble.STUCK:
            text = f"{name}: {_jobs(glance.waiting_in_all)} could go, and none was placed in the last minute"
            return Concern(level, text, advice="`outdial why ID` tells for one of them")
        case Trouble.NOT_KNOWN:
            return Concern(
                level, f"{name}: no worker knows it", advice="`outdial reload` gives them these settings"
            )
        case Trouble.PAUSED:
            return Concern(
                level, f"{name} is paused{author_words(glance.pause, now=now)}", f"outdial resume {name}"
            )


def _names(pbxs: Sequence[PbxScene]) -> str:
    named = ", ".join(pbx.glance.name for pbx in pbxs[:_MOST_ALIKE])
    return f"{named} and {len(pbxs) - _MOST_ALIKE:,} more PBXs"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"

"""What holds a job back: from facts to obstacles, the main one first. Nothing here asks or changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass

from producers.facts import Facts
from producers.pauses import author_words
from producers.times import duration, told
from worker.hopper import KILL_SWITCH
from worker.jobs import Doubt, JobState

_DOUBTS: dict[str, str] = {
    Doubt.LOST_REPLY: "the reply of the PBX was lost",
    Doubt.SAID_FAILED: "the PBX said Failed without proving that nothing rang",
    Doubt.WORKER_LOST: "the worker vanished while it placed the call",
}

_REFUSALS = {
    "READONLY": "it is a replica: name the primary by redis_url",
    "MISCONF": "its disk is full or fails: see the log of Redis",
    "NOREPLICAS": "too few of its replicas are connected: bring them back",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """
    One thing that holds a job back now.

    Args:
        kind: A stable word: everything_paused, pbx_paused, extension_paused, held, redis_full, redis_refuses,
            no_worker, pbx_not_in_settings, pbx_unknown, due, breaker, login, slot, placing, doubt, extension,
            lane, lines, workers_full, permit, round.
        sentence: The same for a person.
        advice: What a person can do, empty where there is nothing but to wait.
        until: It holds at least so long, in unix seconds; 0: it may pass at any moment.
        at_most: It holds no longer, as far as can be known, in unix seconds; 0: that cannot be known.
        job_id: The other job it is about, empty if there is none.
        needs_person: It does not pass by itself.
    """

    kind: str
    sentence: str
    advice: str = ""
    until: float = 0
    at_most: float = 0
    job_id: str = ""
    needs_person: bool = False


def obstacles(facts: Facts, *, in_settings: bool = True, looks_at_most_s: float = 60) -> list[Obstacle]:
    """
    List what holds a job back, the main obstacle first: what a person has to end, then times, then room.

    Args:
        facts: Of the job, as of one moment.
        in_settings: Whether the settings have the job's PBX.
        looks_at_most_s: How long a doubtful job is looked after (`look.at_most_s`).

    Returns:
        Nothing for a job that has ended or is damaged, or that nothing holds back.
    """
    match facts.state:
        case JobState.WAITING:
            return _of_waiting(facts, in_settings=in_settings)
        case JobState.RELEASED:
            found = [*_persons(facts, in_settings=in_settings), _slot(facts), *_breaker(facts), *_login(facts)]
            return [*found, *_permit(facts)]
        case JobState.CLAIMED if facts.doubt:
            return [*_no_worker(facts), _doubt(facts, looks_at_most_s)]
        case JobState.CLAIMED:
            return [*_no_worker(facts), _placing(facts)]
        case _:
            return []


def _of_waiting(facts: Facts, *, in_settings: bool) -> list[Obstacle]:
    breaker_is_later = facts.breaker == "open" and facts.barred_until > facts.due
    times = [*_breaker(facts), *_due(facts)] if breaker_is_later else [*_due(facts), *_breaker(facts)]
    room = [*_login(facts), *_extension(facts), *_lane(facts), *_lines(facts), *_workers_full(facts)]
    room += [*_permit(facts), *_round(facts)]
    if facts.due > facts.now:  # what is over by then does not hold it back
        room = [one for one in room if max(one.until, one.at_most) > facts.due]
    return [*_persons(facts, in_settings=in_settings), *times, *room]


# --- what a person has to end


def _persons(facts: Facts, *, in_settings: bool) -> Iterator[Obstacle]:
    name = facts.pbx
    if facts.all_paused:
        lift = "`outdial resume --all` lifts that"
        sentence = f"everything is paused{author_words(facts.pause(KILL_SWITCH))}"
        yield Obstacle("everything_paused", sentence, lift, needs_person=True)
    if facts.paused:
        lift = f"`outdial resume {name}` lifts that"
        sentence = f"PBX {name} is paused{author_words(facts.pause(name))}"
        yield Obstacle("pbx_paused", sentence, lift, needs_person=True)
    if facts.extension_paused:
        lift = f"`outdial resume {name} --extension {facts.extid}` lifts that"
        sentence = f"extension {facts.extid} of PBX {name} is paused{author_words(facts.pause(name, facts.extid))}"
        yield Obstacle("extension_paused", sentence, lift, needs_person=True)
    yield from of_all_pbxs(facts.held_why, facts.refusal, facts.workers)
    if not in_settings:
        sentence = f"PBX {name} is not in the settings"
        yield Obstacle("pbx_not_in_settings", sentence, f"add [pbx.{name}] or cancel the job", needs_person=True)
    if facts.workers and not facts.known:
        sentence = f"no worker has ever known PBX {name}"
        advice = f"give the workers settings that have [pbx.{name}], then `outdial reload`"
        yield Obstacle("pbx_unknown", sentence, advice, needs_person=True)


def of_all_pbxs(held_why: str, refusal: str, workers: int) -> Iterator[Obstacle]:
    """
    Yield what keeps calls from beginning on any PBX, pauses apart.

    Args:
        held_why: Why the workers begin no call; empty if they do.
        refusal: The first word of the error by which Redis takes nothing in; empty if it takes jobs.
        workers: How many are alive.
    """
    if held_why:
        sentence, _, advice = held_why.partition("; ")
        yield Obstacle("held", f"no call begins: {sentence}", advice, needs_person=True)
    if refusal == "OOM":
        sentence = "Redis is full: it takes no jobs, and no call begins"
        advice = "give it more memory; `outdial doctor` shows its use"
        yield Obstacle("redis_full", sentence, advice, needs_person=True)
    elif refusal:
        sentence = f"Redis refuses to write ({refusal}): it takes no jobs, and no call begins"
        advice = _REFUSALS.get(refusal, "see the log of Redis")
        yield Obstacle("redis_refuses", sentence, advice, needs_person=True)
    if not workers:
        yield Obstacle("no_worker", "no worker is running", "start one by `outdial worker`", needs_person=True)


def _no_worker(facts: Facts) -> Iterator[Obstacle]:
    return of_all_pbxs("", "", facts.workers)


# --- what time ends


def _due(facts: Facts) -> Iterator[Obstacle]:
    if facts.due <= facts.now:
        return
    when = f"{told(facts.due)}, in {duration(facts.due - facts.now)}"
    sentence = f"its time is {when}"
    if facts.attempts:
        last = ": ".join(part for part in (facts.errno, facts.error) if part)
        sentence = f"its next attempt is at {when}; the last came to {last or 'nothing'}"
    yield Obstacle("due", sentence, until=facts.due, at_most=facts.due)


def _breaker(facts: Facts) -> Iterator[Obstacle]:
    if facts.breaker == "closed":
        return
    since = f" since {told(facts.barred_since)}" if facts.barred_since else ""
    next_try = "the next one is a trial"
    if facts.breaker == "open":
        next_try = f"next try in {duration(facts.barred_until - facts.now)}"
    reason = facts.barred_reason or "no reason was given"
    sentence = f"PBX {facts.pbx} has taken no calls{since}, {next_try}: {reason}"
    if facts.breaker == "open" and facts.barred_by == "login":
        advice = "correct username or password, then `outdial reload`"
        yield Obstacle("breaker", sentence, advice, until=facts.barred_until)
    else:
        # The answer to a call or look under way closes it at any moment.
        yield Obstacle("breaker", sentence, "see whether it is up: `outdial doctor`")


def _login(facts: Facts) -> Iterator[Obstacle]:
    if facts.logging_in and not facts.logged_in:
        yield Obstacle("login", f"a worker is logging in to PBX {facts.pbx}")


# --- a call that has begun


def _slot(facts: Facts) -> Obstacle:
    if facts.released_at > facts.now:
        last = ": ".join(part for part in (facts.errno, facts.error) if part)
        left = duration(facts.released_at - facts.now)
        sentence = f"a worker tries again in {left}; the last attempt came to {last or 'nothing'}"
        return Obstacle("slot", sentence, until=facts.released_at)
    ago = f" {duration(facts.now - facts.released_at)} ago" if facts.released_at else ""
    return Obstacle("slot", f"handed to a worker{ago}, it waits for a free slot")


def _placing(facts: Facts) -> Obstacle:
    since = f" since {told(facts.claimed_at)}" if facts.claimed_at else ""
    return Obstacle("placing", f"nothing: a worker has been placing the call{since}")


def _doubt(facts: Facts, looks_at_most_s: float) -> Obstacle:
    over_at = facts.doubted_at + looks_at_most_s
    why = _DOUBTS.get(facts.doubt, facts.doubt)
    sentence = f"nobody knows whether the phone rang, for {why}; PBX {facts.pbx} is looked at"
    if over_at > facts.now:
        sentence += f" until {told(over_at)} at most, for {duration(over_at - facts.now)} more"
    else:
        sentence += f", which should have been over at {told(over_at)}"
    return Obstacle("doubt", sentence, at_most=over_at)


# --- room


def _extension(facts: Facts) -> Iterator[Obstacle]:
    if facts.lease_until <= facts.now:
        return
    left = duration(facts.lease_until - facts.now)
    where, other = f"extension {facts.extid}", facts.leased_to
    is_sure = facts.lease_until
    match facts.leased_state:
        case "":
            sentence = f"{where} rests for {left} more"
        case JobState.PLACED:
            sentence = f"{where} is in a call, that of job {other}, and rests after it: for {left} more"
        case "doubted" | JobState.UNKNOWN:
            sentence = f"{where} may be in a call, that of job {other}, for {left} at most"
            is_sure = 0
        case _:
            sentence = f"{where} is taken for job {other}, which is {facts.leased_state}, for {left} at most"
            is_sure = 0
    advice = ""
    if facts.leased_state == JobState.UNKNOWN:
        advice = f"say what became of that one: `outdial resolve {other} …`"
    yield Obstacle("extension", sentence, advice, is_sure, facts.lease_until, other)


def _lane(facts: Facts) -> Iterator[Obstacle]:
    if facts.position > 0:
        sentence = f"it is {place_in_lane(facts)}, behind job {facts.ahead}"
        yield Obstacle("lane", sentence, job_id=facts.ahead)


def _lines(facts: Facts) -> Iterator[Obstacle]:
    if not facts.known or facts.lines < facts.most_lines:
        return
    # A line is given back early where a call does not come about.
    until = facts.line_free_at if facts.lines_placed == facts.lines else 0
    left = duration(facts.line_free_at - facts.now)
    when = f"the next is free in {left}" if until else f"the next is free in {left} at most"
    sentence = f"all {facts.most_lines} lines of PBX {facts.pbx} are taken; {when}"
    yield Obstacle("lines", sentence, "max_open_calls in the settings is the limit", until, facts.line_free_at)


def _workers_full(facts: Facts) -> Iterator[Obstacle]:
    if facts.starved:
        sentence = f"the {facts.slots} slots of the workers have as many jobs as they can take"
        yield Obstacle("workers_full", sentence, "start more by `outdial worker`")


def _permit(facts: Facts) -> Iterator[Obstacle]:
    if facts.permit_in_s > 0:
        at = facts.now + facts.permit_in_s
        sentence = f"PBX {facts.pbx} takes its next call in {duration(facts.permit_in_s)}"
        if facts.state == JobState.WAITING and facts.released + facts.position + facts.lanes_ahead > 0:
            sentence = f"the calls before it take PBX {facts.pbx} {duration(facts.permit_in_s)} at least"
        yield Obstacle("permit", sentence, "calls_per_second in the settings is the limit", until=at)


def _round(facts: Facts) -> Iterator[Obstacle]:
    if facts.lanes_ahead > 0:
        lanes = "1 extension comes" if facts.lanes_ahead == 1 else f"{facts.lanes_ahead:,} extensions come"
        yield Obstacle("round", f"{lanes} before it in the round of PBX {facts.pbx}")


def place_in_lane(facts: Facts) -> str:
    """Return a job's place for a sentence: `3rd of 7 in the lane of extension 1001`; it must be in a lane."""
    place = f"{_ordinal(facts.position + 1)} of {facts.lane_length:,}"
    return f"{place} in the lane of extension {facts.extid}"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number:,}th"
    return f"{number:,}" + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")

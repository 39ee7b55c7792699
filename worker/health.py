"""Whether everything a worker needs is there and set up so that nothing is lost: `outdial doctor`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import redis

from worker.errors import AttemptFailed, PbxBarred, TokenRefused
from worker.extras import missing_for
from worker.hopper import (
    KILL_SWITCH,
    EndpointView,
    Hopper,
    Pause,
    ServerView,
    SettingsReport,
    Token,
    Unknowns,
    by_version,
    server_view,
)
from worker.masking import safe
from worker.pbx import Device, PbxSession, adapter_for
from worker.redis_away import hint_for
from worker.redis_tls import likely_problem, sentinel_problem
from worker.secret_reader import open_to_others
from worker.settings import PbxSettings, Settings, version_of
from worker.webhooks.targets import anybody_listens, target_names

# Clocks further apart than this make due times and logs confusing; nothing unsafe, for Redis's clock decides.
_CLOCK_S = 2.0
# Of what was set aside: the doctor's line stays readable.
_NOTES_SHOWN = 3
_PAUSES_SHOWN = 5
# Of the jobs that ended within a day, for those that nobody could judge: half a second.
_MOST_LOOKED_AT = 50_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: *level* is ok, warning or bad; *advice* is what to do, empty if nothing."""

    level: str
    subject: str
    text: str
    advice: str = ""


def redis_problem(client: "redis.Redis") -> str | None:
    """
    Return why this Redis must not hold jobs, with what to set, or None.

    Raises:
        redis.exceptions.RedisError: If it cannot be asked at all.
    """
    policy = client.info("memory").get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return f"Redis may throw jobs away (maxmemory-policy is {policy}); set maxmemory-policy noeviction"
    return None


def examine(settings: Settings, *, pbxs: bool = True) -> Iterator[Finding]:
    """Yield one finding for each thing looked at, the PBXs too if *pbxs*, in the order in which one would look."""
    yield Finding("ok", "settings", f"{len(settings.pbx)} PBXs: {', '.join(settings.pbx) or 'none'}")
    if not settings.pbx:
        yield Finding("bad", "settings", "no PBX", "add a [pbx.NAME] section")
    yield from secret_file_findings(settings.secret_files)
    # The results are the workers' business, and so are the PBXs.
    yield from package_findings(missing_for(settings, results=pbxs))
    yield from source_findings(settings)
    hopper = Hopper.from_settings(settings)
    try:
        yield from _redis(hopper, settings)
        yield from _installation(hopper, settings)
    except redis.RedisError as error:
        yield _unanswered(error, settings)
        return
    for name, pbx in settings.pbx.items() if pbxs else ():
        try:
            yield from _pbx(hopper, settings, name, pbx)
        except redis.RedisError as error:
            text = f"could not be tried, for Redis refused ({type(error).__name__})"
            yield Finding("bad", f"pbx {name}", text, hint_for(error) or "see what is said of redis")


def package_findings(missing: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding for each setting that needs a missing package, from its sentence."""
    for sentence in missing:
        setting, _, text = sentence.partition(": ")
        yield Finding("bad", setting, *parted(text, ""))


def _unanswered(error: redis.RedisError, settings: Settings) -> Finding:
    address = settings.redis_address
    text = f"{address.place} does not answer ({type(error).__name__})"
    hint = sentinel_problem(address) or hint_for(error) or likely_problem(error, address)
    problem, advice = parted(hint or "start it, or set redis_url", "")
    if not advice:
        return Finding("bad", "redis", text, problem)
    return Finding("bad", "redis", f"{text}: {problem}", advice)


def parted(sentence: str, otherwise: str) -> tuple[str, str]:
    """Return the problem and the advice of `problem; advice`, or *otherwise* as the advice where it has none."""
    problem, _, advice = sentence.partition("; ")
    if problem.count("(") > problem.count(")"):  # the whole sentence stood in brackets
        problem, advice = f"{problem})", advice.removesuffix(")")
    return problem, advice or otherwise


def _redis(hopper: Hopper, settings: Settings) -> Iterator[Finding]:
    server = server_view(hopper)
    yield Finding("ok", "redis", f"{settings.redis_address.place} answers, version {server.version}")
    if settings.redis_address.tls_options.get("ssl_cert_reqs", "required") != "required":
        advice = "leave ssl_cert_reqs out of redis_url, and name the authority by ssl_ca_certs"
        yield Finding("warning", "redis", "its certificate is not verified", advice)
    yield persistence_finding(server)
    yield from _replication(server, settings)
    problem = redis_problem(hopper.client)
    if problem:
        yield Finding("bad", "eviction", *problem.split("; ", 1))
    else:
        yield Finding("ok", "eviction", "noeviction")
    yield memory_finding(server)
    skew_s = abs(hopper.now() - datetime.now(UTC).timestamp())
    if skew_s > _CLOCK_S:
        yield Finding(
            "warning", "clock", f"this host and Redis differ by {skew_s:.0f} s", "run a time service on both"
        )
    else:
        yield Finding("ok", "clock", "this host and Redis agree")


def _installation(hopper: Hopper, settings: Settings) -> Iterator[Finding]:
    slots = hopper.workers_alive()
    if slots:
        yield Finding("ok", "workers", f"{len(slots)} alive with {sum(slots.values())} slots")
    else:
        yield Finding("warning", "workers", "none is running", "start `outdial worker`")
    yield from settings_findings(hopper.settings_reports(), version_of(settings))
    yield set_aside_finding(hopper)
    yield from webhook_findings(hopper, settings)
    # `outdial results` shows those of a day too, unasked.
    unknowns = Unknowns(hopper, most=_MOST_LOOKED_AT)
    if unknown := unknowns.count():
        jobs = f"{unknown:,} job" if unknown == 1 else f"{unknown:,} jobs"
        yield Finding(
            "warning",
            "unknown",
            f"{jobs}{'' if unknowns.is_complete else ' at least'} of the last day may have rung, and nobody knows",
            "`outdial results --state unknown` lists them, `outdial resolve` says what became of each",
        )
    for pause in hopper.pauses():
        if pause.pbx == KILL_SWITCH:
            yield Finding("warning", "pause", f"everything is paused{_author(pause)}", _resume_advice(pause))
        elif pause.pbx not in settings.pbx:
            text = f"{pause.subject} is paused{_author(pause)}, and that PBX is not in the settings"
            yield Finding("warning", "pause", text, _resume_advice(pause))


def settings_findings(reports: Sequence[SettingsReport], here: str) -> Iterator[Finding]:
    """
    Yield which settings the processes have, and which of them differ.

    Args:
        reports: Of all processes that live.
        here: The version of the settings that were read here.
    """
    advice = "give all hosts the same settings, then `outdial reload`"
    for report in reports:
        if report.refused:
            text = f"{report.process} keeps {report.version}, for it refused what it read last: {report.refused}"
            yield Finding("bad", "settings", text, "correct them, then `outdial reload`")
        if report.needs_restart:
            text = f"{report.process} has former values of {', '.join(report.needs_restart)}"
            yield Finding("warning", "settings", text, "restart it")
        for sentence in report.differs:
            yield Finding("warning", "settings", f"{report.process}: {sentence}", advice)
    versions = by_version(reports)
    if len(versions) == 1 and here in versions:
        yield Finding("ok", "settings", f"version {here} in all {len(reports)} processes")
    elif versions:
        each = "; ".join(f"{version} in {', '.join(names)}" for version, names in sorted(versions.items()))
        yield Finding("warning", "settings", f"version {here} here, {each}", advice)


def persistence_finding(server: ServerView) -> Finding:
    """Return what to say of what a restart of Redis would leave of the jobs."""
    if not server.is_append_only:
        return Finding(
            "warning", "persistence", "append-only file is off: a restart loses jobs", "set appendonly yes"
        )
    if server.late_writes:
        text = f"append-only file is on, but {server.late_writes:,} times Redis answered before it had written"
        advice = "killed then, it forgets what it answered, and a phone may ring twice: set appendfsync always"
        return Finding("warning", "persistence", text, advice)
    return Finding("ok", "persistence", "append-only file is on")


def memory_finding(server: ServerView) -> Finding:
    """Return what to say of the memory that Redis has left."""
    used, most = server.memory_bytes, server.memory_limit_bytes
    if not most:
        return Finding("ok", "memory", f"{used / 2**20:,.0f} MiB used, maxmemory is not set")
    text = f"{used / 2**20:,.0f} of {most / 2**20:,.0f} MiB used"
    if server.is_nearly_full:
        advice = "give it more: CONFIG SET maxmemory, and the same in its configuration file; nothing is lost"
        what = "it is full, takes no jobs, and no call is begun" if server.is_full else "nearly full"
        return Finding("bad" if server.is_full else "warning", "memory", f"{text}: {what}", advice)
    return Finding("ok", "memory", text)


def secret_file_findings(files: Iterable[Path]) -> Iterator[Finding]:
    """Yield a warning for each file with a secret in it that more people may read than need to."""
    for file in open_to_others(files):
        text = f"{file} holds a secret, and any user of this host may read it, or its group may change it"
        yield Finding(
            "warning", "secrets", text, f"chmod 600 {file} (640 where the service reads it by its group)"
        )


def source_findings(settings: Settings) -> Iterator[Finding]:
    """Yield a warning for each CRM source whose hook takes GET."""
    for name, block in settings.source.items():
        # The block is as written: only the intake and `outdial crm` know what its kind makes of it.
        methods = block.get("methods")
        if isinstance(methods, list) and "GET" in methods:
            text = "its hook takes GET, so a link scanner or a preview that opens the address makes the phone ring"
            yield Finding("warning", f"source {name}", text, 'set methods = ["POST"] if the CRM can send POST')


def webhook_findings(hopper: Hopper, settings: Settings) -> Iterator[Finding]:
    """Yield what to say of those who are told of results; nothing where nobody is."""
    if not anybody_listens(settings):
        return
    couriers = hopper.couriers_alive()
    if couriers:
        yield Finding("ok", "webhooks", f"{len(couriers)} processes alive with {sum(couriers.values())} slots")
    else:
        yield Finding(
            "warning", "webhooks", "no process is running: no results are told", "start `outdial worker`"
        )
    now = hopper.now()
    for view in map(hopper.endpoint, target_names(settings)):
        yield _endpoint(view, now)


def _endpoint(view: EndpointView, now: float) -> Finding:
    subject = f"endpoint {view.name}"
    counts = f"{view.waiting:,} waiting, {view.dead:,} given up"
    if view.state == "disabled":
        advice = f"mend it, then `outdial webhooks enable {view.name}` and `replay --endpoint {view.name}`"
        return Finding(
            "warning", subject, f"disabled {_ago(now - view.disabled_at)}: {view.disabled_why}; {counts}", advice
        )
    if view.state == "failing":
        since = f"failing since {_ago(now - view.failing_since)}, {view.failures} times in a row"
        text = f"{since}: {view.last_error}; {counts}"
        return Finding("warning", subject, text, f"`outdial webhooks test {view.name}` tries it now")
    advice = f"`outdial webhooks failed --endpoint {view.name}` lists what was given up" if view.dead else ""
    return Finding("warning" if view.dead else "ok", subject, counts, advice)


def set_aside_finding(hopper: Hopper) -> Finding:
    """Return what to say of messages and records that could not be used."""
    notes, now = hopper.set_aside_list(), hopper.now()
    if not notes:
        return Finding("ok", "set aside", "nothing")
    newest = "; ".join(
        f"{_ago(now - note.at)} a {note.what}{note.job_id and ' '}{note.job_id}: {note.reason}"
        for note in notes[:_NOTES_SHOWN]
    )
    advice = "find out who else writes to this Redis (same database, queue or namespace); dialing goes on without"
    return Finding(
        "warning", "set aside", f"{hopper.set_aside_count()} could not be used; newest: {newest}", advice
    )


def _ago(seconds: float) -> str:
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"


def _replication(server: ServerView, settings: Settings) -> Iterator[Finding]:
    wanted, there = settings.replication.wait_replicas, server.replicas
    if server.is_replica:
        advice = "name the primary by redis_url, or wait for the fail-over to end"
        yield Finding("bad", "replication", "this Redis is a replica and takes no jobs", advice)
    elif wanted > there:
        text = f"{there} replicas are connected and wait_replicas is {wanted}: nobody dials"
        yield Finding("warning", "replication", text, "bring the replicas back, or lower wait_replicas")
    elif there:
        yield Finding("ok", "replication", f"{there} replicas are connected, wait_replicas is {wanted}")


def _pbx(hopper: Hopper, settings: Settings, name: str, pbx: PbxSettings) -> Iterator[Finding]:
    subject = f"pbx {name}"
    yield from _pauses(hopper, name)
    breaker = hopper.breaker(name)
    if breaker.state != "closed":
        reason, advice = parted(breaker.reason or "no reason was given", _advice_for_breaker(hopper, name))
        text = f"its breaker is {breaker.state}: {reason}"
        yield Finding("warning", subject, text, f"jobs wait and lose no attempt; {advice}")
    if pbx.base_url.startswith("http://"):
        yield Finding("warning", subject, "is asked without TLS", "use https in base_url")
    elif not pbx.tls_verify:
        yield Finding("warning", subject, "TLS is not verified", "set ca_file or tls_fingerprint")
    known = hopper.credentials_mark(name)
    if known not in (None, pbx.credentials_mark()):
        # Asking with others would end the workers' session, or close the PBX to them.
        yield Finding(
            "bad",
            subject,
            "the workers have another address, user name or password",
            "correct the settings, or `outdial reload` if these are right",
        )
        return
    try:
        device = _device(hopper, settings, name, pbx)
    except PbxBarred as closed:
        reason, advice = parted(closed.reason, _advice_for_barred(hopper, name))
        yield Finding("bad", subject, f"{reason}; next try in {closed.seconds:.0f} s", advice)
    except AttemptFailed as failed:
        yield Finding("bad", subject, *parted(failed.error, "check base_url, api and TLS settings"))
    else:
        text = (
            "reachable, TLS and log-in in order"
            if device is None
            else f"log-in in order, {device.model} {device.firmware}"
        )
        yield Finding("ok", subject, text)
        if device is not None:
            yield Finding("ok", subject, f"its clock says {device.system_time}")


def _pauses(hopper: Hopper, name: str) -> Iterator[Finding]:
    own = [pause for pause in hopper.pauses() if pause.pbx == name]
    for pause in own[:_PAUSES_SHOWN]:
        what = f"extension {pause.extid} is paused" if pause.extid else "is paused"
        yield Finding("warning", f"pbx {name}", what + _author(pause), _resume_advice(pause))
    if len(own) > _PAUSES_SHOWN:
        text = f"{len(own) - _PAUSES_SHOWN:,} more extensions are paused"
        yield Finding("warning", f"pbx {name}", text, "`outdial lanes -v` lists them")


def _resume_advice(pause: Pause) -> str:
    return f"`{pause.lifted_by}` when dialing may go on"


def _author(pause: Pause) -> str:
    """Return who paused it, when and why, to stand behind "is paused"; empty where that is not known."""
    if not pause.at:
        return ""
    by = f", by {safe(pause.by)}" if pause.by else ""
    return f" (since {_iso(pause.at)}{by})" + (f": {safe(pause.reason)}" if pause.reason else "")


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _advice_for_breaker(hopper: Hopper, name: str) -> str:
    if _is_barred_by_login(hopper, name):
        return "correct username and password, then `outdial reload`"
    return "see that the PBX is up and can be reached from the workers"


def _advice_for_barred(hopper: Hopper, name: str) -> str:
    is_login = _is_barred_by_login(hopper, name)
    return "check username and password" if is_login else "check base_url, api and TLS settings"


def _is_barred_by_login(hopper: Hopper, name: str) -> bool:
    [glance] = hopper.overview([name]).pbxs
    return glance.barred_by == "login"


def _device(hopper: Hopper, settings: Settings, name: str, pbx: PbxSettings) -> Device | None:
    """Ask the PBX about itself with the shared token; a token it does not know is replaced once."""
    # The workers' limits and blocks hold for the doctor too: a wrong password is tried once in ten minutes.
    # Whoever asks with other limits, such as before an upgrade, must not change what the workers keep to.
    if hopper.credentials_mark(name) is None:
        hopper.register(name, pbx)
    adapter = adapter_for(name, pbx)
    session = PbxSession(hopper, adapter, settings.retry)
    token = session.token()
    for _ in range(2):
        if not isinstance(token, Token):
            return None  # a worker is logging in at this moment
        try:
            return adapter.device(token.token)
        except TokenRefused:
            token = session.token(refused=token.generation)
    return None

"""The dashboard of a whole installation; where there are many PBXs, it shows the ten that matter most."""

from ops.grafana.ailments import breakers, failures, pbxs
from ops.grafana.board import FLEET, Board
from ops.grafana.panels import BAD, GOOD, ODD, RATE, Panel, Query, graph, number, or_none
from ops.grafana.surroundings import hosts, redis, telling


def fleet() -> Board:
    """Return the dashboard."""
    return Board(
        uid=FLEET,
        title="outdial: fleet",
        description="Is it dialing, how fast, what waits, what fails and why, which PBX is sick.",
        rows={
            "Is it dialing?": _at_a_glance(),
            "How fast?": _speed(),
            "What waits?": _waiting(),
            "What fails, and why?": failures(),
            "Which PBX is sick?": [pbxs(), *breakers()],
            "Who is told?": telling(),
            "Redis": redis(),
            "Hosts and intake": hosts(),
        },
    )


def _at_a_glance() -> list[Panel]:
    return [
        number(
            "Calls per second",
            "sum(pbx:outdial_posts:rate1m) or vector(0)",
            unit="reqps",
            help_="Dial requests sent to all PBXs, over the last minute. 0 while jobs wait: see what is "
            "paused, whose breaker is open, and whether workers are alive; then `outdial doctor`.",
        ),
        number(
            "Jobs that could go",
            "sum(pbx:outdial_ready_jobs:max) or vector(0)",
            unit="short",
            help_="Waiting jobs whose time has come, and those on their way to a slot. Much is no fault where "
            "much was handed in: calls per second are limited. `outdial why ID` says what holds one of them "
            "back.",
        ),
        number(
            "Oldest of them",
            "max(outdial_oldest_waiting_seconds) or vector(0)",
            unit="s",
            steps={300: ODD, 1800: BAD},
            help_="How long the oldest job has been able to go. Long for bulk jobs is normal; long for urgent "
            "ones, see below, means that a PBX takes too few calls or none.",
        ),
        number(
            "Dials that succeed",
            "sum(pbx:outdial_attempts_placed:increase5m) / (sum(pbx:outdial_attempts:increase5m) > 0)",
            unit="percentunit",
            steps=RATE,
            none="no calls",
            help_="Attempts of the last five minutes that were placed, of all but those whose extension was in "
            "use. What the others came to is shown under What fails, and why; which PBX they were of under "
            "Which PBX is sick.",
        ),
        number(
            "Workers alive",
            "max(outdial_workers) or vector(0)",
            unit="short",
            steps={0: BAD, 1: GOOD},
            help_="Worker processes that told Redis within 20 seconds that they live. 0: start `outdial worker`.",
        ),
        number(
            "Alerts",
            'count(ALERTS{alertstate="firing",alertname=~"Outdial.*"}) or vector(0)',
            unit="short",
            steps={1: BAD},
            help_="Alerts of outdial that fire now. Each links to its section of the runbook.",
        ),
    ]


def _speed() -> list[Panel]:
    return [
        graph(
            "Calls per second, the ten fastest PBXs",
            Query(or_none("topk(10, pbx:outdial_posts:rate1m)", "pbx"), "{{pbx}}"),
            unit="reqps",
            stacked=True,
            help_="Dial requests by PBX. A gap while jobs wait is a pause, an open breaker, or workers that "
            "are gone.",
        ),
        graph(
            "Permits used, of those allowed",
            Query(or_none("topk(10, pbx:outdial_permits_used:ratio_rate1m)", "pbx"), "{{pbx}}"),
            unit="percentunit",
            steps={1: ODD},
            help_="How much of its calls per second each PBX is given, looks at doubtful calls included. At "
            "100 % the limit is what holds jobs back: raise calls_per_second if the PBX can take more. Never "
            "above for long.",
        ),
        graph(
            "How long PBXs take to answer",
            Query("histogram_quantile(0.5, sum by (le) (rate(outdial_post_seconds_bucket[5m]))) >= 0", "half"),
            Query(
                "histogram_quantile(0.95, sum by (le) (rate(outdial_post_seconds_bucket[5m]))) >= 0", "95 of 100"
            ),
            unit="s",
            steps={3: ODD, 10: BAD},
            help_="From sending a dial request to its answer; nothing while nothing is dialed. Near "
            "read_timeout_s (10 s) replies get lost and jobs end as unknown: look at the PBX, and lower its "
            "calls_per_second.",
        ),
        graph(
            "From queue to ring",
            Query(
                "histogram_quantile(0.5, sum by (le) (rate(outdial_queue_to_ring_seconds_bucket[5m]))) >= 0",
                "half",
            ),
            Query(
                "histogram_quantile(0.95, sum by (le) (rate(outdial_queue_to_ring_seconds_bucket[5m]))) >= 0",
                "95 of 100",
            ),
            unit="s",
            help_="From when a job could first go to the PBX's answer that it rings; nothing while nothing is "
            "placed. What callers feel. It grows with what waits; hand in as urgent what a person waits for.",
        ),
    ]


def _waiting() -> list[Panel]:
    return [
        graph(
            "Jobs by what they wait for",
            Query("sum by (priority) (max by (pbx, priority) (outdial_waiting_jobs))", "{{priority}}"),
            Query("sum(max by (pbx) (outdial_released_jobs))", "on its way to a slot"),
            Query("sum(max by (pbx) (outdial_later_jobs))", "its time has not come"),
            Query("sum(max by (pbx) (outdial_doubtful_jobs))", "in doubt, looked at"),
            unit="short",
            stacked=True,
            help_="All jobs that have not ended. Those on their way should be few: many that stay are workers "
            "that hang. Those in doubt end within a minute or so; `outdial results --state unknown` has what "
            "became of them.",
        ),
        graph(
            "How long the oldest waits",
            Query("max by (priority) (outdial_oldest_waiting_seconds)", "{{priority}}"),
            unit="s",
            help_="By priority, over all PBXs. Urgent ones should wait seconds: if not, see which PBX is at "
            "its limit.",
        ),
        graph(
            "Jobs handed in",
            Query(or_none("sum by (door) (rate(outdial_jobs_accepted_total[5m]))", "door"), "{{door}}"),
            unit="reqps",
            stacked=True,
            width=8,
            help_="New jobs per second taken by the HTTP intake, by the way they came. More than calls per "
            "second for long means that the queue grows.",
        ),
        graph(
            "Lines taken",
            Query("topk(10, pbx:outdial_lines_taken:ratio)", "{{pbx}}"),
            unit="percentunit",
            steps={1: ODD},
            width=8,
            help_="Open calls, of max_open_calls. At 100 % jobs wait for calls to end: raise max_open_calls if "
            "the PBX has more lines, or lower open_call_s if calls are shorter than that.",
        ),
        graph(
            "Released and claimed",
            Query("sum(rate(outdial_jobs_released_total[5m])) or vector(0)", "released"),
            Query("sum(rate(outdial_claims_total[5m])) or vector(0)", "claimed"),
            Query("sum(pbx:outdial_posts:rate1m) or vector(0)", "sent"),
            unit="reqps",
            width=8,
            help_="The three steps of a call, per second. They run side by side; released without claimed "
            "means that slots are full or Celery does not deliver, claimed without sent that PBXs cannot be "
            "reached.",
        ),
    ]

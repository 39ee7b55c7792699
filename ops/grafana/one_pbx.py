"""The dashboard of one PBX, chosen above it."""

from ops.grafana.board import ONE_PBX, Board
from ops.grafana.panels import BAD, GOOD, ODD, RATE, Panel, Query, graph, number, or_none

_THIS = 'pbx="$pbx"'
_ANSWER, _RING = "outdial_post_seconds", "outdial_queue_to_ring_seconds"


def one_pbx() -> Board:
    """Return the dashboard."""
    return Board(
        uid=ONE_PBX,
        title="outdial: one PBX",
        description="What one PBX takes, what waits for it, what its calls come to.",
        by_pbx=True,
        rows={
            "Does it take calls?": _at_a_glance(),
            "How fast?": _speed(),
            "What waits for it?": _waiting(),
            "What do its calls come to?": _outcomes(),
        },
    )


def _at_a_glance() -> list[Panel]:
    return [
        number(
            "Breaker",
            f'max(outdial_breaker_state{{{_THIS},state="open"}}) '
            f'+ 2 * max(outdial_breaker_state{{{_THIS},state="half-open"}})',
            unit="none",
            words={0: ("closed", GOOD), 1: ("open", BAD), 2: ("half open", ODD)},
            none="?",
            help_="Closed: calls go. Open: it could not be reached three times in a row, and is tried every "
            "few seconds. `outdial lanes` says since when and why. Half open: the next call is the trial.",
        ),
        number(
            "Log-in",
            f"max(outdial_login_barred{{{_THIS}}})",
            unit="none",
            words={0: ("fine", GOOD), 1: ("barred", BAD)},
            none="?",
            help_="Barred: the PBX refused user name or password, or locks us out. Correct them and restart "
            "the workers.",
        ),
        number(
            "Paused",
            f"max(pbx:outdial_paused:max{{{_THIS}}})",
            unit="none",
            words={0: ("no", GOOD), 1: ("yes", ODD)},
            none="?",
            help_="By `outdial pause`, this PBX or everything; `outdial resume` lifts it.",
        ),
        number(
            "Jobs that could go",
            f"max(pbx:outdial_ready_jobs:max{{{_THIS}}})",
            unit="short",
            help_="Waiting jobs whose time has come, and those on their way. `outdial why ID` says what holds "
            "one back.",
        ),
        number(
            "Dials that succeed, 1 h",
            f"max(pbx:outdial_attempts_placed:ratio_increase1h{{{_THIS}}})",
            unit="percentunit",
            steps=RATE,
            none="no calls",
            help_="Attempts placed, of all but those whose extension was in use. What the others came to is "
            "below.",
        ),
        number(
            "In doubt",
            f"max(outdial_doubtful_jobs{{{_THIS}}})",
            unit="short",
            steps={5: ODD},
            help_="Calls whose reply was lost; the PBX is asked what became of them. Many: it answers late, or "
            "not.",
        ),
    ]


def _speed() -> list[Panel]:
    return [
        graph(
            "Calls per second",
            Query(f"sum(pbx:outdial_posts:rate1m{{{_THIS}}}) or vector(0)", "sent"),
            Query(f"max(outdial_calls_per_second_limit{{{_THIS}}})", "limit"),
            unit="reqps",
            help_="Dial requests, and calls_per_second in the settings. At the limit the limit is what holds "
            "jobs back.",
        ),
        graph(
            "Permits used, of those allowed",
            Query(f"sum by (use) (rate(outdial_permits_total{{{_THIS}}}[1m]))", "{{use}}, per second"),
            Query(f"max(pbx:outdial_permits_used:ratio_rate1m{{{_THIS}}}) or vector(0)", "of those allowed"),
            unit="none",
            help_="Calls and looks at doubtful calls share the permits. Many looks leave fewer for calls: see "
            "why replies get lost.",
        ),
        graph(
            "How long it takes to answer",
            *_times(_ANSWER),
            unit="s",
            steps={3: ODD, 10: BAD},
            help_="From sending a dial request to its answer; nothing while nothing is dialed. Near "
            "read_timeout_s replies get lost: lower calls_per_second, and look at the PBX.",
        ),
        graph(
            "From queue to ring",
            *_times(_RING),
            unit="s",
            help_="From when a job could first go to the answer that it rings; nothing while nothing is placed.",
        ),
    ]


def _times(name: str) -> list[Query]:
    rate = f"sum by (le) (rate({name}_bucket{{{_THIS}}}[5m]))"
    shares = {"0.5": "half", "0.95": "95 of 100", "0.99": "99 of 100"}
    return [Query(f"histogram_quantile({share}, {rate}) >= 0", legend) for share, legend in shares.items()]


def _waiting() -> list[Panel]:
    return [
        graph(
            "Jobs by what they wait for",
            Query(f"max by (priority) (outdial_waiting_jobs{{{_THIS}}})", "{{priority}}"),
            Query(f"max(outdial_released_jobs{{{_THIS}}})", "on its way to a slot"),
            Query(f"max(outdial_later_jobs{{{_THIS}}})", "its time has not come"),
            Query(f"max(outdial_doubtful_jobs{{{_THIS}}})", "in doubt, looked at"),
            unit="short",
            stacked=True,
            help_="All its jobs that have not ended. Growing without end: more is handed in than it may dial.",
        ),
        graph(
            "How long the oldest waits",
            Query(f"max by (priority) (outdial_oldest_waiting_seconds{{{_THIS}}})", "{{priority}}"),
            unit="s",
            help_="By priority. Urgent ones should wait seconds, unless all lines or their extensions are in "
            "calls.",
        ),
        graph(
            "Open calls",
            Query(f"max(outdial_open_calls{{{_THIS}}})", "taken"),
            Query(f"max(outdial_max_open_calls{{{_THIS}}})", "limit"),
            unit="short",
            width=24,
            help_="Lines that calls hold, for open_call_s each where no event tells their end. At the limit "
            "jobs wait for calls to end: raise max_open_calls if the PBX has more lines.",
        ),
    ]


def _outcomes() -> list[Panel]:
    ended = f"sum by (state) (pbx_state_errno:outdial_jobs_ended:increase5m{{{_THIS}}})"
    why = f'sum by (outcome, errno) (pbx_outcome_errno:outdial_attempts:increase5m{{{_THIS},outcome!="placed"}})'
    again = {"outdial_retries_total": "tried again", "outdial_doubts_total": "in doubt"}
    again |= {"outdial_breaker_openings_total": "breaker opened", "outdial_token_logins_total": "log-ins"}
    parks = f"sum by (reason) (increase(outdial_parks_total{{{_THIS}}}[5m]))"
    verdicts = f"sum by (verdict) (increase(outdial_doubts_resolved_total{{{_THIS}}}[5m]))"
    return [
        graph(
            "Jobs ended, in five minutes",
            Query(or_none(ended, "state"), "{{state}}"),
            unit="short",
            stacked=True,
            help_="What its jobs came to. Unknown: each may have rung, `outdial results --state unknown`.",
        ),
        graph(
            "Attempts that were not placed, in five minutes",
            Query(or_none(why, "errno"), "{{outcome}} {{errno}}"),
            unit="short",
            stacked=True,
            help_="By the PBX's code, or a word of ours. All of one code: look at the PBX for it; "
            "docs/adr/0005-outcomes.md says what each means.",
        ),
        graph(
            "Success of attempts",
            Query(f"pbx:outdial_attempts_placed:ratio_increase5m{{{_THIS}}}", "5 minutes"),
            Query(f"pbx:outdial_attempts_placed:ratio_increase1h{{{_THIS}}}", "1 hour"),
            Query(f"pbx:outdial_attempts_placed:ratio_increase1d_before1h{{{_THIS}}}", "the day before"),
            unit="percentunit",
            most=1,
            width=8,
            help_="Nothing where no attempt was made. Away from the day before, up or down, there is an alert.",
        ),
        graph(
            "What did not end it, in five minutes",
            *(
                Query(f"sum(increase({name}{{{_THIS}}}[5m])) or vector(0)", legend)
                for name, legend in again.items()
            ),
            Query(or_none(parks, "reason"), "parked: {{reason}}"),
            unit="short",
            width=8,
            help_="Attempts that led to another, and what the PBX was asked for besides calls.",
        ),
        graph(
            "What became of doubts, in five minutes",
            Query(or_none(verdicts, "verdict"), "{{verdict}}"),
            unit="short",
            width=8,
            help_="Adopted calls rang once and are placed. Unknown ones wait for a person.",
        ),
    ]

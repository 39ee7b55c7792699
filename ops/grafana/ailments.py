"""Rows of the fleet about what goes wrong: what fails and why, and which PBX is sick."""

from ops.grafana.board import ONE_PBX
from ops.grafana.panels import BAD, GOOD, ODD, RATE, Column, Panel, Query, graph, number, or_none, pbx_table

_YES_IS_BAD = {0: ("no", GOOD), 1: ("yes", BAD)}


def failures() -> list[Panel]:
    """What jobs and attempts came to."""
    ended = "sum by (state) (pbx_state_errno:outdial_jobs_ended:increase5m)"
    why = 'topk(10, sum by (outcome, errno) (pbx_outcome_errno:outdial_attempts:increase5m{outcome!="placed"}))'
    again = {"outdial_retries_total": "tried again", "outdial_parks_total": "parked"}
    again |= {"outdial_doubts_total": "in doubt", "outdial_redis_away_total": "Redis away"}
    return [
        graph(
            "Jobs ended, in five minutes",
            Query(or_none(ended, "state"), "{{state}}"),
            unit="short",
            stacked=True,
            help_="What jobs came to. Failed: see why beside it. Unknown: each may have rung and waits for a "
            "person, `outdial results --state unknown`. Refused: a rule forbade the call.",
        ),
        graph(
            "Attempts that were not placed, in five minutes",
            Query(or_none(why, "errno"), "{{outcome}} {{errno}}"),
            unit="short",
            stacked=True,
            help_="By the PBX's code, or a word of ours where it gave none. 10006: the extension does not "
            "exist. 10008: it is in use. 10024: it may not call out. 20002, 20003: our log-in. All of one "
            "code: look at the PBX for it.",
        ),
        graph(
            "Success of attempts, the ten worst PBXs",
            Query("bottomk(10, pbx:outdial_attempts_placed:ratio_increase1h)", "{{pbx}}"),
            unit="percentunit",
            most=1,
            help_="Attempts placed in an hour, of all but those whose extension was in use; nothing where none "
            "was made. A jump, up or down, has an alert.",
        ),
        graph(
            "Attempts that did not end it, in five minutes",
            *(Query(f"sum(increase({name}[5m])) or vector(0)", legend) for name, legend in again.items()),
            unit="short",
            help_="Tried again and parked: the PBX said try later, or an extension was in use. In doubt: a "
            "reply was lost and the PBX is asked. Redis away: steps that found no Redis.",
        ),
        number(
            "Unknown, and nobody has said",
            "max(outdial_unknown_jobs) or vector(0)",
            unit="short",
            steps={1: ODD, 10: BAD},
            width=6,
            help_="Jobs of the last day that may have rung. `outdial results --state unknown`, then for each "
            "`outdial resolve ID` with what the PBX's call records or the extension say.",
        ),
        number(
            "Set aside in the last week",
            "max(outdial_set_aside) or vector(0)",
            unit="short",
            steps={1: ODD},
            width=6,
            help_="Messages and records that could not be used. `outdial doctor` shows the newest and why.",
        ),
        number(
            "Undelivered results",
            "max(outdial_undelivered_results) or vector(0)",
            unit="short",
            steps={100: ODD, 1000: BAD},
            width=6,
            help_="Jobs that have ended and whose result has not reached the results backend. It falls by "
            "itself when that can be reached; nothing is lost.",
        ),
        number(
            "Everything paused",
            "max(outdial_everything_paused) or vector(0)",
            unit="none",
            words={0: ("no", GOOD), 1: ("paused", BAD)},
            width=6,
            help_="Somebody ran `outdial pause --all`; `outdial resume --all` lifts it.",
        ),
    ]


def pbxs() -> Panel:
    """One line for each PBX."""
    return pbx_table(
        "PBXs",
        [
            Column(
                "Breaker open",
                '1 - outdial_breaker_state{state="closed"}',
                words=_YES_IS_BAD,
            ),
            Column("Log-in barred", "outdial_login_barred", words=_YES_IS_BAD),
            Column("Paused", "outdial_paused", words={0: ("no", GOOD), 1: ("yes", ODD)}),
            Column("Could go", "pbx:outdial_ready_jobs:max", "short"),
            Column("Oldest", "outdial_oldest_waiting_seconds", "s", steps={300: ODD, 1800: BAD}),
            Column("In doubt", "outdial_doubtful_jobs", "short", steps={5: ODD}),
            Column("Calls/s", "pbx:outdial_posts:rate1m", "none"),
            Column("Limit", "outdial_calls_per_second_limit", "none"),
            Column("Lines taken", "pbx:outdial_lines_taken:ratio", "percentunit", steps={1: ODD}),
            Column("Success, 1 h", "pbx:outdial_attempts_placed:ratio_increase1h", "percentunit", steps=RATE),
            Column("Answer, 95 %", "pbx:outdial_post_seconds:p95_rate5m >= 0", "s", steps={3: ODD, 10: BAD}),
        ],
        help_="One line for each PBX; a click on a heading sorts, a click on a name leads to its own "
        "dashboard. Breaker open: it cannot be reached. Log-in barred: it refuses our user. Nothing in a "
        "field: no calls lately.",
        link=f"/d/{ONE_PBX}?var-pbx=${{__value.text}}&${{source:queryparam}}&${{__url_time_range}}",
    )


def breakers() -> list[Panel]:
    """What PBXs do to be left alone."""
    opened = "sum by (pbx) (increase(outdial_breaker_openings_total[5m])) > 0"
    logins = "sum by (result) (increase(outdial_token_logins_total[15m]))"
    return [
        graph(
            "Breakers opened, in five minutes",
            Query(or_none(f"topk(10, {opened})", "pbx"), "{{pbx}}"),
            unit="short",
            help_="Each trial that fails opens it anew. `outdial lanes` says since when and why; `outdial "
            "doctor` tries.",
        ),
        graph(
            "Log-ins in a quarter of an hour",
            Query(or_none(logins, "result"), "{{result}}"),
            unit="short",
            help_="One in half an hour for each PBX is normal. More: something else logs in as the same user, "
            "or the PBX forgets. Refused: the password is wrong; five of them and the PBX locks us out for ten "
            "minutes.",
        ),
    ]

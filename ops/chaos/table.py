"""The account as one table."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ops.chaos.account import CHECKS, Account
from worker.jobs import JobState


def table_of(account: Account, *, seed: int) -> Table:
    """Return the table of a run."""
    table = Table(box=SIMPLE_HEAD, title=f"chaos, seed {seed}", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("of which")
    for what, count, more in (*_jobs(account), *_promises(account), *_faults(account)):
        table.add_row(what, count, more)
    return table


_Row = tuple[str, str, str]


def _jobs(account: Account) -> list[_Row]:
    doubtful, resolved = account.doubtful_in_call(), account.resolved()
    share = f"{100 * len(resolved) / len(doubtful):.1f} %" if doubtful else "-"
    rang = len(account.unknown_that_rang())
    redial, tried_again, rang_again = account.redials()
    of_state = {
        JobState.PLACED: f"{len(account.adopted())} adopted (outboundid)",
        JobState.UNKNOWN: f"{rang} had rung",
    }
    states = [
        state for state in JobState if state.is_final and (account.states[state] or state != JobState.REFUSED)
    ]
    return [
        ("jobs", str(len(account.evidence.jobs)), ""),
        *((str(state), str(account.states[state]), of_state.get(state, "")) for state in states),
        ("in doubt, call up", str(len(doubtful)), f"{len(resolved)} resolved, {share}"),
        ("  of the rest, over at once", str(len(account.out_of_sight())), "call ended, or its PBX, within 1 s"),
        ("with on_unknown=redial", str(redial), f"{tried_again} tried again, {rang_again} rang again"),
    ]


def _promises(account: Account) -> list[_Row]:
    kinds = [*CHECKS, *sorted({violation.kind for violation in account.violations} - CHECKS.keys())]
    return [(kind, str(account.count(kind)), "" if not account.count(kind) else "MUST NOT BE") for kind in kinds]


def _faults(account: Account) -> list[_Row]:
    struck = account.struck()
    missed = sum(deed.missed for deed in account.evidence.deeds)
    rows = [("faults", str(struck.total()), f"{len(struck)} kinds; {missed} more missed")]
    rows += [(f"  {kind}", str(count), "") for kind, count in sorted(struck.items())]
    worst, standstill = account.worst_recovery(), account.longest_standstill()
    if worst:
        rows.append(("worst recovery", f"{worst[0]:.1f} s", f"to a ring after: {worst[1].kind}"))
    if standstill is not None:
        rows.append(("longest standstill", f"{standstill:.1f} s", "of a job of a killed worker"))
    return rows

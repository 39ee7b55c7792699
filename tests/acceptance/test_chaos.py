"""Everything breaks at once for a minute: nothing lost, nothing rung twice. `make chaos` is the long form."""

from pathlib import Path

import pytest
from rich.console import Console

from ops.chaos.history import histories
from ops.chaos.run import Options, Run, to_stderr
from ops.chaos.table import table_of

CUT = Options(seed=190, seconds=60, jobs=300, faults_per_minute=40, heal_s=300)


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_rings_twice_while_everything_breaks(tmp_path: Path) -> None:
    run = Run(CUT, tmp_path, to_stderr)
    account = run.account()
    # Shown by pytest on failure only.
    Console(width=110).print(table_of(account, seed=CUT.seed))
    for line in histories(account, run.logs):
        print(line)
    assert account.held, f"chaos with seed {CUT.seed}: {account.violations[0].kind}"
    assert account.states["placed"] >= 200
    assert account.struck().total() >= 25
    assert len(account.struck()) >= 8

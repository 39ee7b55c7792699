"""Files of counts, as a supervisor and its processes have them, within this process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import values

from worker.metrics import files
from worker.metrics.meters import Meters

Begin = Callable[[str], Meters]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Return what begins to count for a slot in *tmp_path*, as a process started there would."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv(files.VARIABLE, str(tmp_path))

    def begun(name: str) -> Meters:
        files.use(name, names=2)
        return Meters()

    yield begun
    values.close_all_multiprocess_files()

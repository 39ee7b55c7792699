"""Jobs into the hopper: one at a time against `apply_async`, in bulk, and what a waiting job costs in memory."""

import os
import subprocess
import sys
import time

from ops.bench.rig import Rig, rig
from producers import Dialer
from worker.hopper import Hopper
from worker.jobs import DialJob

_SINGLES = 3000
_BULK = 50_000
_PLAIN = (
    "import time\nfrom ops.bench.plain_celery import dial\n"
    "for n in range(200): dial.apply_async((str(n), '0205550100'))\n"
    f"began = time.perf_counter()\nfor n in range({_SINGLES}): dial.apply_async((str(n), '0205550100'))\n"
    f"print({_SINGLES} / (time.perf_counter() - began))"
)


def single_rates() -> tuple[float, float]:
    """Return enqueues/s of outdial and of plain `apply_async`, one caller, one job at a time."""
    with rig() as bench:
        dialer = Dialer.from_config(_config(bench))
        for number in range(200):
            dialer.enqueue(extid=str(number), outto="0205550100")
        began = time.perf_counter()
        for number in range(_SINGLES):
            dialer.enqueue(extid=str(number % 200), outto="0205550100")
        ours = _SINGLES / (time.perf_counter() - began)
        plain = subprocess.run(
            [sys.executable, "-c", _PLAIN],
            env=bench.plain_environment(),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return ours, float(plain.stdout)


def import_rate() -> float:
    """Return rows/s of `outdial import` on a CSV file, the command's start included."""
    with rig() as bench:
        config = _config(bench)
        file = bench.folder / "leads.csv"
        rows = (f"{1000 + n % 200},0205550{n % 10000:04d},L-{n}" for n in range(_BULK))
        file.write_text("extid,outto,metadata.lead\n" + "\n".join(rows))
        command = [sys.executable, "-m", "producers.cli", "--config", str(config), "import", str(file)]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return _BULK / (time.perf_counter() - began)


def bytes_per_job() -> float:
    """Return Redis memory per waiting job: with a key and a little metadata, 100 in each lane."""
    with rig() as bench:
        hopper = Hopper.from_settings(bench.settings())
        wishes = [
            DialJob(
                extid=str(1000 + n % 100),
                outto="02055501000",
                pbx="hq",
                key=f"crm:{n}",
                metadata={"lead": f"L-{n}"},
            )
            for n in range(10_000)
        ]
        before = hopper.client.info("memory")["used_memory"]
        assert len(list(hopper.put_many(wishes))) == len(wishes)
        return float(hopper.client.info("memory")["used_memory"] - before) / len(wishes)


def _config(bench: Rig) -> os.PathLike[str]:
    bench.settings()
    return bench.config

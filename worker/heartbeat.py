"""
Whether the workers of this host are well, read from the files they write: `python -P -m worker.heartbeat check`.

    python -P -m worker.heartbeat check [--ready] [FOLDER]

exits 0, or 1 with one sentence. FOLDER is `worker.heartbeat_dir`; else OUTDIAL_WORKER__HEARTBEAT_DIR names it.

The supervisor writes which processes it looks after, and each process when its parts last heard something: the
consumer an answer to its BRPOP, pacer, sweeper, reconciler and courier the answer to a script, the deliverer its
batch, the pool the end of a call. A living thread counts for nothing.

**The rule.** A part is well as long as it hears something, be it a refusal. Nothing at all for longer than its
limit (`worker.deaf_after_s` for consumer and pacer) is deafness: a half-open connection, a thread that hangs or
is gone, a frozen process. An honest refusal (connection refused or reset, no such host, an error of the server) is
a Redis that is away: a new process would be told the same, so that only `--ready` fails. Silence is not taken for
a Redis that is away, though from here a frozen server and a deaf path look the same: a half-open connection is
taken up again within 12 s, and what is silent for longer is sometimes mended by a new process (another address of
the name, another port past a balancer) and never made worse by it, for killed workers lose nothing. The
supervisor can ask Redis itself, and ends nothing while that is silent: see `worker.watchdog`.

It is run every few seconds in every container, so it imports the standard library alone, and little of that.
"""

import json
import os
import sys
import time
from typing import Any, NamedTuple

VARIABLE = "OUTDIAL_WORKER__HEARTBEAT_DIR"
SUPERVISOR = "supervisor"
ENDING = ".beat"
# What a sign of life was; EXPECTED is none yet, FULL that nothing can come because all slots are taken.
ANSWERED, REFUSED, EXPECTED, FULL = "answered", "refused", "expected", "full"
# A process that died is started again, and has to import everything, within this.
RESTART_S = 60.0

_USAGE = "usage: python -P -m worker.heartbeat check [--ready] [FOLDER]"


class Finding(NamedTuple):
    """What is wrong with *worker*; with *is_deaf* no waiting mends it, otherwise it just cannot work now."""

    worker: str
    text: str
    is_deaf: bool
    has_begun: bool = True

    def sentence(self) -> str:
        """Return it for people."""
        return self.text if self.worker == SUPERVISOR else f"{self.worker}: {self.text}"


def boot_id() -> str:
    """Return what tells this run of the kernel from others, whose monotonic clocks began anew; "" if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123  pathlib costs 5 ms
            return file.read().strip()
    except OSError:
        return ""


def findings(folder: str, now: float) -> list[Finding]:
    """
    Return what is wrong with the workers that write to *folder*, the worst first.

    Args:
        folder: Of one supervisor. `supervisor.beat` there is {"boot", "at", "limit_s", "stopping", "slots":
            [{"name", "pid", "since"}]} ("pid" null: it died); each NAME.beat is {"pid", "at", "signs": {part:
            [at, limit_s, word]}}. Times are seconds of the host's monotonic clock.
        now: The same clock's.
    """
    told = _read(folder, SUPERVISOR)
    if not told or told["boot"] != boot_id():
        return [Finding(SUPERVISOR, f"no supervisor of workers has written to {folder}", is_deaf=True)]
    if now - told["at"] > told["limit_s"]:
        return [Finding(SUPERVISOR, f"the supervisor has not moved for {now - told['at']:.0f} s", is_deaf=True)]
    if told["stopping"]:
        return [Finding(SUPERVISOR, "the workers are stopping", is_deaf=False)]
    found = [_of_slot(slot, _read(folder, slot["name"]), told["limit_s"], now) for slot in told["slots"]]
    return sorted(filter(None, found), key=lambda finding: not finding.is_deaf)


def _of_slot(slot: dict[str, Any], beat: dict[str, Any] | None, limit_s: float, now: float) -> Finding | None:
    name, since_s = slot["name"], now - slot["since"]
    if slot["pid"] is None:
        text = f"died, and has not been well for {since_s:.0f} s"
        return Finding(name, text, is_deaf=since_s > RESTART_S, has_begun=False)
    # A process before it had the same name; what that one wrote says nothing.
    if not beat or beat["pid"] != slot["pid"] or beat["at"] < slot["since"]:
        text = f"started {since_s:.0f} s ago, and wrote nothing yet"
        return Finding(name, text, is_deaf=since_s > RESTART_S, has_begun=False)
    if now - beat["at"] > limit_s:
        return Finding(name, f"has written nothing for {now - beat['at']:.0f} s", is_deaf=True)
    return _of_signs(name, beat["signs"], now)


def _of_signs(name: str, signs: dict[str, list[Any]], now: float) -> Finding | None:
    for part, (at, limit_s, _) in signs.items():
        if now - at > limit_s:
            return Finding(name, f"its {part} has made no progress for {now - at:.0f} s", is_deaf=True)
    for part, (_, _, word) in signs.items():
        if word == REFUSED:
            return Finding(name, f"Redis is away: its {part} is refused", is_deaf=False)
        if word == EXPECTED:
            text = {"start": "is starting", "stop": "is stopping"}.get(part, f"its {part} has not begun yet")
            return Finding(name, text, is_deaf=False)
    return None


def _read(folder: str, name: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(folder, name + ENDING), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            content: dict[str, Any] = json.load(file)
            return content
    except (OSError, ValueError):  # not there; or no JSON, which none of ours wrote
        return None


def check(folder: str, *, ready: bool) -> str | None:
    """
    Return the sentence that says what is wrong, or None.

    Args:
        folder: `worker.heartbeat_dir`.
        ready: Also where workers can do nothing for the moment, and a restart would not help.
    """
    wrong = [finding for finding in findings(folder, time.monotonic()) if ready or finding.is_deaf]
    if not wrong:
        return None
    return wrong[0].sentence()


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code, 2 for wrong usage."""
    # argparse would cost half as much as all the rest.
    ready, folders = "--ready" in arguments, [word for word in arguments[1:] if word != "--ready"]
    folders = folders or [os.environ.get(VARIABLE, "")]
    if arguments[:1] != ["check"] or len(folders) > 1 or not folders[0] or folders[0].startswith("-"):
        sys.stderr.write(f"{_USAGE}\nFOLDER is worker.heartbeat_dir of the settings, or {VARIABLE} names it\n")
        return 2
    sentence = check(folders[0], ready=ready)
    sys.stdout.write(f"{sentence or 'well'}\n")
    return 1 if sentence else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

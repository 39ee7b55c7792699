"""The way to the server: batches of states and calls go in, what each call has changed comes back."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import redis

from ops.explore.values import MOMENT
from worker.hopper.connection import steps

# The steps that the worlds take.
STEPS = (
    "put",
    "release",
    "claim",
    "finish",
    "park",
    "hand_back",
    "doubt",
    "bury",
    "look_turn",
    "looked",
    "sweep",
    "delivered",
    "cancel",
    "resolve",
    "pause",
    "resume",
    "register",
    "login_turn",
    "login_done",
)
Planted = tuple[
    str, str, str
]  # the step or shared part it is about (for people), the text to replace, the new text


def texts(planted: Sequence[Planted] = ()) -> dict[str, str]:
    """
    Return the text of each step, with defects planted.

    Args:
        planted: Each replaces a text that must stand in a step of the worlds, wherever it stands.

    Raises:
        LookupError: If a text to replace stands in no step, so a mutation is out of date.
    """
    found = {name: steps()[name][0] for name in STEPS}
    for where, old, new in planted:
        changed = {name: text.replace(old, new) for name, text in found.items()}
        if changed == found:
            raise LookupError(f"{where}: no step holds {old!r}")
        found = changed
    return found


class Driver:
    """
    Runs steps on one server, whose database it fills and empties.

    Args:
        client: To a server of its own.
        steps: The text of each step.
    """

    def __init__(self, client: "redis.Redis", steps: Mapping[str, str]) -> None:
        functions = [f"STEPS.{name} = function(KEYS, ARGV, redis)\n{text}\nend" for name, text in steps.items()]
        body = (files("ops.explore") / "driver.lua").read_text()
        text = "\n".join([f"local MOMENT, STEPS = '{MOMENT}', {{}}", *functions, body])
        self._sha = client.script_load(text)
        self._pool: Any = client.connection_pool
        self._connection: Any = self._pool.get_connection()

    def send(self, batch: Sequence[str]) -> None:
        """Let the server work on some states with their calls, each as JSON."""
        self._connection.send_command("EVALSHA", self._sha, 0, f"[{','.join(batch)}]")

    def answers(self) -> list[list[list[Any]]]:
        """Return the results of the last batch, for each state and call: did it work, the reply, the keys."""
        return list(self._connection.read_response())

    def run(
        self, items: Sequence[str], calls: Sequence[tuple[str, Sequence[str], Sequence[str]]]
    ) -> list[list[Any]]:
        """Run the calls from one state, and return the result of each."""
        self.send([f"[[{','.join(items)}],{json.dumps(calls)}]"])
        return self.answers()[0]

    def close(self) -> None:
        """Give the connection back."""
        self._pool.release(self._connection)

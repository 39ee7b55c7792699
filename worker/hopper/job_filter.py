"""Which jobs a person means: the one filter behind lists, cancellations and redials."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.jobs import JobState, id_of_key


@dataclass(frozen=True, slots=True)
class JobFilter:
    """
    What a job must match; an empty field matches any job.

    Args:
        states: States, any one of them.
        pbxs: Names of PBXs.
        origins: As in `Order`; the empty one stands for the command line and Python.
        extids: Extensions.
        errnos: Codes with which a job ended.
        key: The job's own key.
        metadata: Names and values that the job brings, all of them, exactly.
        since: Enqueued at or after this time (unix seconds).
        before: Enqueued before this time.
        ended_since: Ended at or after this time; a job that has not ended does not match.
        ended_before: Ended before this time.
    """

    states: tuple[JobState, ...] = ()
    pbxs: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    extids: tuple[str, ...] = ()
    errnos: tuple[str, ...] = ()
    key: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None
    before: float | None = None
    ended_since: float | None = None
    ended_before: float | None = None

    def payload(self, *, below: str, wanted: int, most: int, ids: Sequence[str] | None) -> str:
        """Return the argument of `scripts/find.lua`; *ids* None means all jobs."""
        lists: dict[str, Sequence[str]] = {
            "states": self.states,
            "pbxs": self.pbxs,
            "origins": self.origins,
            "extids": self.extids,
            "errnos": self.errnos,
        }
        times = {
            "since": self.since,
            "before": self.before,
            "ended_since": self.ended_since,
            "ended_before": self.ended_before,
        }
        if self.key:
            own = id_of_key(self.key)
            ids = [own] if ids is None or own in ids else []
        asked: dict[str, Any] = {"below": below, "wanted": wanted, "most": most}
        asked |= {name: list(words) for name, words in lists.items() if words}
        asked |= {name: moment for name, moment in times.items() if moment is not None}
        if self.metadata:
            asked["metadata"] = dict(self.metadata)
        if ids is not None:
            asked["ids"] = list(ids)
        return json.dumps(asked, separators=(",", ":"))

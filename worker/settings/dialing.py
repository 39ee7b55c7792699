"""The sections that say how patiently and how safely is dialed: retries, looks, breaker, replicas, time limits."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from worker.settings.part import Part, PositiveSeconds

# A PBX that asks to be left alone for longer is asked again after so long: the wish may be a mistake.
LONGEST_ASKED_REST_S = 600.0


class RetrySettings(Part):
    """
    How often and how patiently a call is tried again.

    `max_attempts` counts attempts that failed because of the job; trouble of the agent, the PBX or a worker costs
    none. Waits grow from `base_s`, doubling up to `cap_s`, with full jitter. A job fails if an attempt of it fails
    more than `deadline_s` after the first one that counted. A busy extension is tried again after waits that
    double from `base_s` up to `busy_cap_s`. Waits up to `slot_wait_s` are slept in the worker's slot; longer ones
    park the job.
    """

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    base_s: PositiveSeconds = 1
    cap_s: PositiveSeconds = 60
    deadline_s: PositiveSeconds = 3600
    busy_cap_s: PositiveSeconds = 15
    slot_wait_s: Annotated[float, Field(ge=0, le=5)] = 0.5
    # Longer than the PBX's own lock-out of 10 minutes, counted from our last attempt.
    login_block_s: Annotated[float, Field(ge=600)] = 610


class LookSettings(Part):
    """
    How long and how often a PBX is looked at when nobody can say from the attempt alone whether the phone rang.

    One look asks for all extensions and all outbound calls of the PBX, and so answers for all of its doubtful
    jobs: two requests, not before `every_s` after the last ones. It costs `permits` of the PBX's calls per second;
    at a slow PBX looks are further apart, up to 10 s, so that calls get half of the permits. Where the
    PBX itself said Failed, the extension must be seen idle for `quiet_s` before the job is tried again. A lost
    reply ends as unknown, or is redialed where the job wants that, once the extension was seen idle `within_s`
    after it. An extension in use, or a PBX that cannot be asked, is looked at for `at_most_s`; a phone rings for
    less.
    """

    every_s: Annotated[float, Field(ge=0.05, le=60)] = 1
    quiet_s: Annotated[float, Field(ge=0, le=60)] = 3
    within_s: Annotated[float, Field(ge=0, le=300)] = 10
    at_most_s: Annotated[float, Field(gt=0, le=600)] = 60
    permits: Annotated[int, Field(ge=0, le=10)] = 1

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.quiet_s <= self.at_most_s or not self.within_s <= self.at_most_s:
            raise ValueError("quiet_s and within_s must not be more than at_most_s")
        return self


class BreakerSettings(Part):
    """
    When a PBX that cannot be reached, or sends no answers, is left alone.

    The breaker opens after so many `failures` in a row, for `base_s`, then lets one probe through; each probe that
    fails doubles the time, up to `cap_s`, which bounds how long after its return a PBX gets its first call. For a
    PBX that answers questions and loses dials the time grows fourfold, up to `dial_cap_s`: each further try may
    ring a phone unseen.
    """

    failures: Annotated[int, Field(ge=1, le=100)] = 3
    base_s: PositiveSeconds = 0.5
    cap_s: PositiveSeconds = 5
    dial_cap_s: PositiveSeconds = 60


class ReplicationSettings(Part):
    """
    How many replicas must know of a claim before its phone rings, and how long they have to say so.

    With `wait_replicas` above 0 a fail-over cannot forget a claim whose phone rang, as long as the replica that
    takes over is one of those that said so; while there are fewer, nobody dials. 0 dials at once.
    """

    wait_replicas: Annotated[int, Field(ge=0, le=16)] = 0
    wait_s: Annotated[float, Field(gt=0, le=5)] = 0.5


class TimeLimits(Part):
    """
    The order that keeps a call from ringing twice.

    `attempt_deadline_s` (no request of an attempt begins later, or lives longer) < `claim_lease_s` (whatever was
    sent has reached the PBX) < `claim_dead_s` (others look what became of the call). `release_ttl_s`: a released
    job nobody claimed goes back to its lane. `visibility_timeout_s`: Celery's own redelivery, at least three
    deadlines away.
    """

    attempt_deadline_s: PositiveSeconds = 30
    claim_lease_s: PositiveSeconds = 38
    claim_dead_s: PositiveSeconds = 45
    release_ttl_s: PositiveSeconds = 45
    visibility_timeout_s: Annotated[int, Field(ge=60)] = 300

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.attempt_deadline_s < self.claim_lease_s < self.claim_dead_s:
            raise ValueError("attempt_deadline_s < claim_lease_s < claim_dead_s must hold")
        if not 3 * self.attempt_deadline_s < self.visibility_timeout_s:
            raise ValueError("visibility_timeout_s must be more than 3 * attempt_deadline_s")
        return self

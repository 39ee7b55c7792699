"""
What is counted and told, for Prometheus: `docs/metrics.md` lists it.

Whoever carries a decision out says so by a function of `counting`. `serving` tells it to whoever asks,
together with the state of the installation.
"""

from worker.metrics.catalogue import Family, catalogue
from worker.metrics.counting import (
    attempt_ended,
    begin,
    begin_in_memory,
    breaker_opened,
    call_placed,
    delivery_attempted,
    delivery_sent,
    doubt_resolved,
    job_claimed,
    job_doubted,
    job_parked,
    jobs_accepted,
    jobs_ended,
    jobs_released,
    know,
    logged_in,
    looked,
    posted,
    process_started,
    redis_was_away,
    request_served,
)

__all__ = [
    "Family",
    "attempt_ended",
    "begin",
    "begin_in_memory",
    "breaker_opened",
    "call_placed",
    "catalogue",
    "delivery_attempted",
    "delivery_sent",
    "doubt_resolved",
    "job_claimed",
    "job_doubted",
    "job_parked",
    "jobs_accepted",
    "jobs_ended",
    "jobs_released",
    "know",
    "logged_in",
    "looked",
    "posted",
    "process_started",
    "redis_was_away",
    "request_served",
]

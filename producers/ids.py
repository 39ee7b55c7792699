"""Job ids as people type them."""

from uuid import UUID

from producers.masking import masked
from worker.errors import InputRefused


def known_form(job_id: str) -> str:
    """Return a job id as it is stored; empty if no job has such an id."""
    try:
        return str(UUID(job_id))
    except ValueError:
        return ""


def no_such_job(job_id: str) -> InputRefused:
    """Return the error for an id nobody has."""
    # What is no id may be a telephone number.
    return InputRefused([masked(f"there is no job {job_id[:80]!r}; records are kept for some days after the end")])

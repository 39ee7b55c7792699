"""A process makes sure at its start that it may open as many files as it will need."""

import errno
import subprocess
import sys

import pytest

from worker.open_files import are_used_up

LIMITED = """
import resource, sys
from worker import open_files
from worker.errors import ConfigurationError
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
try:
    open_files.require(int(sys.argv[3]), kept=10)
except ConfigurationError as wrong:
    print(wrong)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def required(soft: int, hard: int, slots: int) -> list[str]:
    command = [sys.executable, "-c", LIMITED, *map(str, (soft, hard, slots))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_limit_that_is_high_enough_stays_as_it_is() -> None:
    assert required(100, 100, 10) == ["100"]


def test_a_limit_that_may_be_raised_is_raised_as_far_as_needed() -> None:
    assert required(50, 200, 10) == ["88"]


def test_a_limit_that_is_too_low_is_named_with_what_would_be_enough() -> None:
    sentence, soft = required(50, 80, 10)
    assert sentence == (
        "concurrency: a process with 10 slots needs 88 open files and may have 80; "
        "raise the limit (LimitNOFILE= of systemd, ulimit -n), or give it fewer slots"
    )
    assert soft == "50"


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_an_error_of_too_many_files_is_found_among_causes(code: int) -> None:
    assert are_used_up([ValueError(), OSError(code, "x")])
    assert not are_used_up([ValueError(), ConnectionRefusedError(errno.ECONNREFUSED, "x"), OSError("x")])

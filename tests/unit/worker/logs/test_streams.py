"""A whole process: everything it says comes out in one form, and nothing of it secret."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

TOKEN = "48a7d7481a5355aa4fb5dc285edeb40e"
SAYS_TOO_MUCH = f"""
import logging, sys, threading, traceback, warnings
import click, structlog
from worker import logs

logs.set_up("info", FORM, process="dialer1.7@host", takes_stderr=True)
log = structlog.get_logger()

def fails(text):
    try:
        raise ValueError("token={TOKEN}")
    except ValueError as error:
        raise RuntimeError(text) from error

with logs.about(job_id="6f0e2a0c-7d5b-4f0e-9a57-123456789012"):
    log.info("call_ended", callid="1637297512.92", error="+1 202 555 0143")
    logging.getLogger("kombu").warning("cannot reach %s for %s", "redis://:hunter2@h/0", {{"outto": "41000"}})
    logging.getLogger("kombu").warning("too few for %s of 2025550143")
    logging.getLogger("kombu").warning("wrong %d", "2025550143")
    try:
        fails("2025550143")
    except RuntimeError:
        logging.getLogger("kombu").exception("broke")
warnings.warn("to 202-555-0143")

class Cleans:
    def __del__(self):
        raise KeyError("password='hunter2'")

Cleans()
thread = threading.Thread(target=fails, args=("+1 202 555 0143",), name="courier")
thread.start()
thread.join()
print("secret=hunter2", 202, 5550143, file=sys.stderr)
sys.stderr.write("tok")
sys.stderr.write("en=hunter2\\n")
click.echo("said to 2025550143", err=True)
try:
    fails("2025550143")
except RuntimeError:
    traceback.print_exc()
fails("+1 202 555 0143")
"""


def said(form: str) -> str:
    code = SAYS_TOO_MUCH.replace("FORM", repr(form))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def secrets_in(text: str) -> list[str]:
    # Microseconds may have any digits.
    text = re.sub(r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+", "", text)
    secrets = (TOKEN, "hunter2", "41000", "55501", "5550143", "555 0143", "555-0143")
    return [secret for secret in secrets if secret in text]


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    text = said("auto")  # no terminal, so for programs
    assert secrets_in(text) == []
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_is_json_and_says_when_what_and_whose(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        assert list(line)[:3] == ["timestamp", "level", "event"]
        assert line["process"] == "dialer1.7@host"
        assert line["timestamp"].endswith("Z")


def test_our_own_lines_and_those_of_libraries_bear_the_job(lines: list[dict[str, Any]]) -> None:
    bearing = [line["event"] for line in lines if line.get("job_id") == "6f0e2a0c-7d5b-4f0e-9a57-123456789012"]
    assert bearing == ["call_ended", *["library_said"] * 4]
    assert lines[0]["callid"] == "1637297512.92"


def test_libraries_are_one_event_with_their_text(lines: list[dict[str, Any]]) -> None:
    messages = [(line["logger"], line["message"]) for line in lines if line["event"] == "library_said"]
    assert messages[0] == ("kombu", "cannot reach redis://:***@h/0 for {'outto': '***'}")
    assert messages[1] == ("kombu", "too few for %s of xxxxxxxx43")
    assert messages[2] == ("kombu", "a line that cannot be shown (TypeError)")
    assert messages[4][0] == "py.warnings"


def test_what_nobody_caught_is_a_line_with_its_traceback(lines: list[dict[str, Any]]) -> None:
    broke = {line["event"]: line for line in lines if line["event"].endswith("_broke")}
    assert (broke["process_broke"]["level"], broke["process_broke"]["error"]) == ("critical", "RuntimeError")
    assert (broke["thread_broke"]["thread"], broke["thread_broke"]["error"]) == ("courier", "RuntimeError")
    assert broke["cleanup_broke"]["error"] == "KeyError"
    assert all("Traceback" in line["exception"] for line in broke.values())


def test_prints_are_lines_too(lines: list[dict[str, Any]]) -> None:
    printed = [line["text"] for line in lines if line["event"] == "printed"]
    assert printed[:3] == ["secret=*** xxx xxxxx43", "token=***", "said to xxxxxxxx43"]
    assert "Traceback (most recent call last):" in printed


def test_people_get_lines_to_read() -> None:
    text = said("console")
    assert secrets_in(text) == []
    assert "call_ended" in text
    assert "\nRuntimeError: +x xxx xxx xx43\n" in text
    assert '{"' not in text

"""Processes we start are processes we stop: by their own id, gently and then not."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def child(command: list[str], *, grace_s: float = 40, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """
    Run *command* for the length of the block.

    Args:
        command: Program and arguments.
        grace_s: From the SIGTERM at the block's end to the kill.
        options: For `subprocess.Popen`. The child has a session of its own, so Ctrl-C does not reach it.
    """
    process = subprocess.Popen(command, text=True, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()

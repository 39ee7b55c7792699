"""Who acts, for timelines and audits."""

import getpass
import os
import socket

LONGEST_NAME = 64


def login_name() -> str:
    """Return the login user and host of this process, such as `anna@dialer-1`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run as a user that has no name
        user = f"uid-{os.getuid()}"
    whole = f"{user}@{socket.gethostname()}"
    return "".join(char if char.isprintable() else "?" for char in whole)[:LONGEST_NAME]

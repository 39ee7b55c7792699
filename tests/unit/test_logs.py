"""Nothing secret gets through a log line."""

import pytest

from worker.logs import redact


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("POST https://pbx/api/v1.0.0/login?token=48a7d7481a5355aa4fb5dc285edeb40e HTTP", "token=*** HTTP"),
        ("access_token=abc&x=1", "access_token=***&x=1"),
        ("url='redis://:hunter2@127.0.0.1:6379/0'", "redis://:***@127.0.0.1:6379/0"),
        ("rediss://user:hunter2@host/0", "rediss://user:***@host/0"),
        ("sentinel://:hunter2@a:1,b:2/0?master=m&sentinel_password=hunter2", "sentinel_password=***"),
        ("sentinel://:hunter2@a:1/0;sentinel://:hunter2@b:2/0", "sentinel://:***@b:2/0"),
        ("call_ended callid=1495710387.333", "callid=1495710387.333"),
    ],
)
def test_tokens_and_passwords_are_masked(line: str, kept: str) -> None:
    redacted = redact(None, "info", line)
    assert kept in redacted
    assert "hunter2" not in redacted
    assert "48a7d748" not in redacted

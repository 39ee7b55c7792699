"""A server with the users of `ops/redis/users.acl` keeps its jobs over a restart."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from ops.children import child
from ops.embedded_redis import server_program
from ops.installation import eventually
from ops.ports import reserve_port
from tests.conftest import pbx_settings
from tests.integration.hopper.stage import job
from worker.hopper import Hopper, connect

SCRIPT = Path(__file__).resolve().parents[2] / "ops" / "redis" / "users.sh"
PROGRAMS = [server_program(), shutil.which("redis-server")]


@contextmanager
def server(program: str, folder: Path, users: Path) -> Iterator[Hopper]:
    port = reserve_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
    command += ["--appendfsync", "always", "--aclfile", str(users)]
    url = f"redis://outdial-worker:secret@127.0.0.1:{port}/0"
    with child(command, stdout=subprocess.DEVNULL), connect(url) as client:

        def answers() -> bool:
            with suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        eventually(answers)
        yield Hopper(client, namespace="outdial", retain_s=600)


@pytest.mark.parametrize("program", PROGRAMS, ids=["embedded", "redis-server"])
def test_a_restart_with_these_users_loses_no_job(program: str | None, tmp_path: Path) -> None:
    if program is None:
        pytest.skip("needs redis-server (apt install redis-server)")
    passwords = tmp_path / "passwords"
    passwords.mkdir()
    for name in ("worker", "intake", "flower"):
        (passwords / name).write_text("secret\n")
    environment = os.environ | {"OLD_REDIS": "1"}
    made = subprocess.run(["sh", str(SCRIPT), str(passwords)], env=environment, capture_output=True, check=True)
    users = tmp_path / "users.acl"
    users.write_bytes(made.stdout)
    with server(program, tmp_path, users) as hopper:
        hopper.register("hq", pbx_settings())
        ids = [hopper.put(job(str(1000 + number))).id for number in range(20)]
    with server(program, tmp_path, users) as hopper:
        assert [result.job_id for result in hopper.results(ids)] == ids
        assert hopper.overview(["hq"]).pbxs[0].waiting_in_all == len(ids)

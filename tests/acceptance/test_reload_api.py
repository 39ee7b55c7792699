"""The intake takes changed settings while it serves."""

import os
import re
import signal
from pathlib import Path

import pytest

from ops.embedded_redis import EmbeddedRedis
from ops.installation import eventually
from tests.acceptance.intake import PIPEDRIVE, SOURCES, intake

SALESFORCE = SOURCES[SOURCES.index("[source.sf]") :]


@pytest.mark.parametrize("by", ["signal", "command"])
def test_sources_pbxs_and_sizes_change_while_the_intake_serves(
    redis_server: EmbeddedRedis, tmp_path: Path, namespace: str, by: str
) -> None:
    with intake(tmp_path, redis_server.url, namespace, settings=(SALESFORCE,)) as api:
        file = tmp_path / "outdial.toml"
        key = api.client("enqueue", "read")

        def reload(text: str) -> None:
            file.write_text(text)
            if by == "signal":
                os.kill(api.served.process.pid, signal.SIGHUP)
            else:
                api.dialer.hopper.ask_reload()

        whole = file.read_text()
        east = whole[whole.index("[pbx.branch]") : whole.index("[source.sf]")].replace("branch", "east")
        assert key.hand_in(pbx="east").status_code == 422
        assert key.hook(PIPEDRIVE).status_code == 404

        reload(whole + SOURCES.replace(SALESFORCE, "") + east + "[api]\nmax_body_bytes = 2048\n")
        eventually(lambda: key.hook(PIPEDRIVE).status_code == 200)
        assert key.hand_in(pbx="east").status_code in (200, 201, 202)
        assert key.hand_in(metadata={"note": "x" * 4000}).status_code == 413

        reload(re.sub(r'kind = "generic"', 'kind = "unheard-of"', file.read_text()))
        [report] = eventually(lambda: [one for one in api.dialer.hopper.settings_reports() if one.refused])
        assert "source.pd.kind" in report.refused
        assert key.hook(PIPEDRIVE).status_code == 200

"""The adapter of each API version against a PBX that serves only what the guide of that version names."""

import time
from collections.abc import Iterator

import pytest

from ops.embedded_redis import EmbeddedRedis
from ops.installation import Installation, eventually, installation
from worker.pbx import ExtensionUse
from worker.pbx.directory import adapter_for

EXTENSIONS = ("--extensions", "1000-1009", "--offline", "1009")


@pytest.fixture(scope="module")
def site(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("yeastar")
    pbx = (*EXTENSIONS, "--ring-s", "600", "--talk-s", "600")
    with installation(folder, redis_server, "yeastar", hq=pbx) as site:
        yield site


@pytest.mark.parametrize("api", ["yeastar-s-v1.0", "yeastar-s-v1.1", "yeastar-s-v2.0"])
def test_every_request_of_an_adapter_exists_in_its_version(site: Installation, api: str) -> None:
    adapter = adapter_for("hq", site.write_settings(apis={"hq": api}).pbx["hq"])
    token = adapter.login()
    assert adapter.device(token).firmware == "30.13.0.30", "what a half open breaker asks before it dials"

    extids = {"yeastar-s-v1.0": "12", "yeastar-s-v1.1": "34", "yeastar-s-v2.0": "56"}[api]
    ringing, talking = (f"100{digit}" for digit in extids)
    began = time.time()
    call = {"outto": "0205550143", "not_before": 0.0, "within_s": 30.0}
    adapter.dial(token, extid=ringing, autoanswer="no", **call)
    callid = adapter.dial(token, extid=talking, autoanswer="yes", **call)
    eventually(lambda: any(seen.extid == talking for seen in adapter.look(token).calls))

    seen = adapter.look(token)
    [shown] = [shown for shown in seen.calls if shown.extid in (ringing, talking)]
    assert (shown.extid, shown.outto) == (talking, "0205550143"), (
        "a call is listed once its extension has answered"
    )
    assert shown.began_at is not None
    assert abs(shown.began_at - began) < 60
    assert (shown.callid or None) == (callid if api == "yeastar-s-v2.0" else None)
    assert bool(shown.outboundid) == (api != "yeastar-s-v2.0")
    uses = [seen.use_of(extid) for extid in (ringing, talking, "1000", "1009")]
    assert uses == [ExtensionUse.IN_USE, ExtensionUse.IN_USE, ExtensionUse.FREE, ExtensionUse.AWAY]

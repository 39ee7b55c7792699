"""Deliveries of CRMs as files: how they are read, and whose they are; see `fixtures/README.md`."""

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from producers.crm.base import Adapter, Delivery
from producers.crm.registry import adapter

FIXTURES = Path(__file__).parent / "fixtures"
PUBLIC_URL = "https://outdial.example"


def fixtures() -> list[Path]:
    """All deliveries, second ones too."""
    return sorted(FIXTURES.glob("*/*.http"))


def handshakes() -> list[Path]:
    """All handshakes."""
    return sorted(FIXTURES.glob("*/*.handshake"))


def adapter_of(fixture: Path) -> Adapter:
    """The adapter of the source a fixture is for."""
    block = tomllib.loads((fixture.parent / "source.toml").read_text())
    return adapter(fixture.parent.name, block)


def delivery_of(fixture: Path) -> Delivery:
    """A fixture as the adapter sees it."""
    head, _, body = fixture.read_bytes().partition(b"\n\n")
    request, *lines = head.decode().splitlines()
    method, target = request.split()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    received_at = float(headers.pop("received-at", "0"))
    segments = urlsplit(target).path.split("/")
    return Delivery(
        method=method,
        url=PUBLIC_URL + target,
        headers=headers,
        body=body.removesuffix(b"\n"),
        token=segments[3] if len(segments) > 3 else None,
        received_at=received_at,
    )


def fixture(name: str) -> Delivery:
    """The delivery of the file `fixtures/NAME.http`."""
    return delivery_of(FIXTURES / f"{name}.http")

"""Writes the dashboards."""

from pathlib import Path

from ops.grafana.fleet import fleet
from ops.grafana.one_pbx import one_pbx

FOLDER = Path(__file__).with_name("dashboards")


def written() -> dict[Path, str]:
    """Return the text of each file of dashboards."""
    return {FOLDER / f"{board.uid}.json": board.json() for board in (fleet(), one_pbx())}


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text)

"""The dashboards: what is committed is what the code says, asks for what there is, and can be read by Grafana."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from ops.grafana.__main__ import written
from tests.unit.ops.exported import SERIES, misnomers

HOME = Path(__file__).parents[3] / "ops/grafana"
BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((HOME / "dashboards").glob("*.json"))}
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]

each_board = pytest.mark.parametrize("name", BOARDS)
each_panel = pytest.mark.parametrize(
    "panel", [panel for _, panel in PANELS], ids=[f"{name}: {panel['title']}" for name, panel in PANELS]
)


def expressions() -> Iterator[str]:
    for _, panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])


def test_committed_dashboards_are_what_the_code_says() -> None:
    for file, text in written().items():
        assert file.read_text() == text, f"{file.name} is not up to date; run python -m ops.grafana"
    assert {file.stem for file in written()} == BOARDS.keys()


@each_panel
def test_panels_say_what_they_show_and_what_to_do(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 40
    assert panel["fieldConfig"]["defaults"]["noValue"]


@each_panel
def test_panels_ask_for_what_is_exported(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert misnomers(target["expr"], SERIES) == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here; install Debian's prometheus")
def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"x:{place}:y", "expr": text} for place, text in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    command = ["promtool", "check", "rules", tmp_path / "rules.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@each_board
def test_grafana_s_own_model_reads_the_whole_dashboard(name: str) -> None:
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(BOARDS[name])))
    assert read == BOARDS[name]


@each_board
def test_no_panel_lies_upon_another_or_beside_the_page(name: str) -> None:
    places = [panel["gridPos"] for panel in BOARDS[name]["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, f"{one} and {other} overlap"


@each_board
def test_panels_have_numbers_of_their_own_and_ask_the_chosen_prometheus(name: str) -> None:
    board = BOARDS[name]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert {panel["datasource"]["uid"] for _, panel in PANELS} == {"${source}"}
    assert "source" in [variable["name"] for variable in board["templating"]["list"]]


@each_board
def test_variables_in_expressions_are_offered_above(name: str) -> None:
    offered = {variable["name"] for variable in BOARDS[name]["templating"]["list"]}
    asks_by_pbx = any("$pbx" in json.dumps(panel) for board, panel in PANELS if board == name)
    assert asks_by_pbx == ("pbx" in offered)


def test_tables_have_one_row_for_each_pbx() -> None:
    for _, panel in PANELS:
        if panel["type"] == "table":
            assert all(target["expr"].startswith("max by (pbx) (") for target in panel["targets"])


def test_links_between_dashboards_lead_to_ones_there_are() -> None:
    assert "/d/outdial-pbx?var-pbx=" in json.dumps(BOARDS["outdial-fleet"])
    assert {board["uid"] for board in BOARDS.values()} == BOARDS.keys()


def test_grafana_finds_dashboards_and_prometheus_by_provisioning() -> None:
    [source] = yaml.safe_load((HOME / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    [folder] = yaml.safe_load((HOME / "provisioning/dashboards/outdial.yml").read_text())["providers"]
    assert (source["type"], source["isDefault"], folder["type"]) == ("prometheus", True, "file")

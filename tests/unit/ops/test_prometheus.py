"""The rules of Prometheus: that they say what they should is told by promtool's own tests, which are run here."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.ops.exported import PROMETHEUS, SERIES, misnomers, rules

RUNBOOK = PROMETHEUS.with_name("runbook.md")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here; install Debian's package prometheus"
)


RULES = list(rules())
ALERTS = [rule for rule in RULES if "alert" in rule]


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_both_configurations_and_all_rules_are_taken_by_prometheus() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml", PROMETHEUS / "prometheus.hosts.yml")


@needs_promtool
@pytest.mark.parametrize("file", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda file: file.stem)
def test_rules_keep_what_they_promise(file: Path) -> None:
    promtool("test", "rules", file)


def test_every_alert_is_shown_to_fire_with_its_words_and_to_stay_silent() -> None:
    fires, silent = set(), set()
    for file in (PROMETHEUS / "tests").glob("*.yml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                (fires if case.get("exp_alerts") else silent).add(case["alertname"])
    names = {rule["alert"] for rule in ALERTS}
    assert (names - fires, names - silent) == (set(), set())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_is_exported(rule: dict[str, Any]) -> None:
    queries = re.findall(r"`([^`]+)`", rule.get("annotations", {}).get("description", ""))
    for expression in [rule["expr"], *queries]:
        assert misnomers(expression, SERIES) == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_leads_to_its_section(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert {"summary", "description", "runbook_url"} <= rule["annotations"].keys()
    anchor = rule["annotations"]["runbook_url"].rpartition("#")[2]
    assert anchor in written_sections()


def written_sections() -> set[str]:
    """Return the anchors, as GitHub makes them, of the sections about alerts that have a text."""
    alerts = RUNBOOK.read_text().partition("\n# Alerts\n")[2]
    sections = re.findall(r"^## (.+)\n+(?!#)(?=.)", alerts, flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in sections}


def test_alertmanager_holds_back_alerts_that_there_are() -> None:
    config = yaml.safe_load((PROMETHEUS / "alertmanager.yml").read_text())
    named = set(re.findall(r"Outdial\w+", str(config["inhibit_rules"])))
    assert named
    assert named <= {rule["alert"] for rule in ALERTS}

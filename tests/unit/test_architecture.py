"""Who may import whom, and who alone speaks with Redis and with PBXs."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imports_of(folder: str) -> Iterator[tuple[Path, str]]:
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((file, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module in ("worker", "producers", "ops"):
                yield from ((file, f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield file, node.module


def test_worker_never_imports_producers_or_ops() -> None:
    wrong = [pair for pair in imports_of("worker") if pair[1].split(".")[0] in ("producers", "ops")]
    assert wrong == []


def test_producers_know_the_contract_the_hopper_and_the_settings_only() -> None:
    allowed = (
        "worker.fields",
        "worker.jobs",
        "worker.hopper",
        "worker.settings",
        "worker.secret_reader",
        "worker.errors",
        "worker.extras",
        "worker.webhooks",
        "worker.logs",
        "worker.metrics",
        "worker.metrics.serving",
        "worker.masking",
        "worker.redis_tls",
        "worker.signals",
        "worker.tracing",
    )
    # The programs that bring results to CRMs stand on both sides.
    allowed_to = {
        ROOT / "producers/webhook_process.py": (
            "worker.node",
            "worker.webhooks.process",
            "worker.webhooks.sending",
            "worker.webhooks.targets",
        ),
        ROOT / "producers/api/server.py": ("worker.reloading",),
        # Which endpoints there are, whose backlog a watch shows.
        ROOT / "producers/watching/looking.py": ("worker.webhooks.targets",),
        ROOT / "producers/commands/webhooks.py": ("worker.webhooks.targets", "worker.webhooks.trial"),
    }
    wrong = [
        (file, module)
        for file, module in imports_of("producers")
        if module.startswith("worker") and module not in (*allowed, *allowed_to.get(file, ()))
    ]
    assert wrong == []


def test_only_the_transports_speak_http() -> None:
    http = ("requests", "urllib3", "http")
    speakers = {file for file, module in imports_of("worker") if module.split(".")[0] in http}
    transports = {ROOT / "worker/pbx/transport.py", ROOT / "worker/webhooks/transport.py"}
    assert speakers == {*transports, ROOT / "worker/final_reply.py"}


def test_every_script_starts_with_its_key_map_or_purpose() -> None:
    scripts = list((ROOT / "worker/hopper/scripts").glob("*.lua"))
    assert len(scripts) > 10
    for script in scripts:
        first = script.read_text().splitlines()[0]
        assert first.startswith(f"-- {script.stem}: "), script

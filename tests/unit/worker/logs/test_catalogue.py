"""Every event is in docs/logs.md, and everything there is logged: an alarm on a name must not go stale."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[4]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
# Of every line, so no row names them; and what becomes the traceback.
EVERYWHERE = {"exc_info", "job_id", "pbx", "delivery", "endpoint", "process", "trace_id"}
# Made of lines that are not ours (`worker.logs.libraries`).
FOREIGN = {"library_said": {"logger", "message"}}


@dataclass
class Event:
    """One event: at which levels, with which fields."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def log_calls() -> Iterator[tuple[Path, ast.Attribute, ast.Call | None]]:
    """Each use of a method of `log`, with its call if that is all that is done with it."""
    for folder in ("worker", "producers", "ops"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text()
            if "= structlog.get_logger()" in text:
                assert "\nlog = structlog.get_logger()\n" in text, f"{file}: call the logger log"
                tree = ast.parse(text)
                calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
                for node in ast.walk(tree):
                    is_method = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                    if is_method and node.value.id == "log":
                        yield file, node, calls.get(id(node))


def logged() -> dict[str, Event]:
    events: dict[str, Event] = defaultdict(Event)
    for file, method, call in log_calls():
        where = f"{file.relative_to(ROOT)}:{method.lineno}"
        assert call is not None, f"{where}: call log.{method.attr} itself, so that its event can be found"
        assert method.attr in LEVELS, f"{where}: log.{method.attr} is no level; take one of {sorted(LEVELS)}"
        name = call.args[0] if call.args else None
        assert len(call.args) == 1, f"{where}: an event is one name, and fields"
        assert isinstance(name, ast.Constant), f"{where}: its name is a constant"
        event = events[name.value]
        event.levels.add("error" if method.attr == "exception" else method.attr)
        event.fields |= {keyword.arg for keyword in call.keywords if keyword.arg}
    return events


def documented() -> dict[str, Event]:
    rows: dict[str, Event] = {}
    for line in (ROOT / "docs/logs.md").read_text().splitlines():
        if line.startswith("| `"):
            name, levels, fields, *sentences = [cell.strip() for cell in line.removeprefix("| ").split("|")][:-1]
            assert name not in rows, f"{name} is there twice"
            assert len(sentences) == 2, f"{name}: say what it means, and what to do"
            assert all(sentences), f"{name}: say what it means, and what to do"
            named = {part.strip(" `") for part in fields.split(",")} - {""}
            rows[name.strip("`")] = Event(set(levels.split(", ")), named)
    return rows


def test_every_event_has_its_row_and_every_row_its_event() -> None:
    rows, events = set(documented()), {*logged(), *FOREIGN}
    assert sorted(events - rows) == [], "give these a row in docs/logs.md"
    assert sorted(rows - events) == [], "nothing logs these any more"


def test_rows_tell_level_and_fields_as_they_are() -> None:
    rows = documented()
    for name, event in logged().items():
        assert rows[name].levels == event.levels, name
        assert event.fields - EVERYWHERE <= rows[name].fields, name


def test_nobody_logs_by_the_standard_library() -> None:
    """Loggers of libraries may be silenced; nobody has one of his own."""
    for folder in ("worker", "producers", "ops"):
        for file in (ROOT / folder).rglob("*.py"):
            assert "getLogger(__name__)" not in file.read_text(), file

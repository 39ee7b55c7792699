"""The kinds of panels there are, so that all of one kind look and read alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

# The dashboards ask whichever Prometheus is chosen above them.
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${source}")
GOOD, ODD, BAD = "green", "orange", "red"
# Of dials that succeed: half of them failing is no good day, whatever the numbers called.
RATE = {0.0: BAD, 0.5: ODD, 0.8: GOOD}

Panel = stat.Panel | timeseries.Panel | table.Panel


@dataclass(frozen=True, slots=True)
class Query:
    """One expression in PromQL, and how its lines are called: text with `{{label}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table with a row for each PBX: its title, what it shows, and how."""

    title: str
    expr: str
    unit: str = "none"
    steps: Mapping[float, str] = field(default_factory=dict)
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def or_none(expr: str, label: str) -> str:
    """Return *expr* with a line at 0 where nothing has been counted yet, whose *label* is `none`."""
    return f'({expr}) or on () label_replace(vector(0), "{label}", "none", "", "")'


def number(
    title: str,
    expr: str,
    *,
    unit: str,
    help_: str,
    steps: Mapping[float, str] | None = None,
    words: Mapping[int, tuple[str, str]] | None = None,
    none: str = "0",
    width: int = 4,
) -> stat.Panel:
    """
    Return one large number, with its last hours as a line behind it.

    Args:
        title: Above it.
        expr: Gives one value.
        unit: A name of Grafana's.
        help_: What it is, and what to do when it looks bad.
        steps: Value from which on: colour; green below the first.
        words: Value: text and colour shown instead.
        none: Shown where there is no value.
        width: Of the 24 columns.
    """
    panel = stat.Panel().title(title).description(help_).unit(unit).no_value(none).span(width).height(4)
    panel = panel.datasource(SOURCE).thresholds(_thresholds(steps or {})).with_target(_target(Query(expr), 0))
    last = common.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("")  # noqa: FBT003  a builder
    panel = panel.reduce_options(last).color_mode(looks.BigValueColorMode.VALUE)
    graph = looks.BigValueGraphMode.NONE if words else looks.BigValueGraphMode.AREA
    panel = panel.graph_mode(graph).text_mode(looks.BigValueTextMode.VALUE)
    return panel.mappings([_mapping(words)]) if words else panel


def graph(
    title: str,
    *queries: Query,
    unit: str,
    help_: str,
    steps: Mapping[float, str] | None = None,
    stacked: bool = False,
    most: float | None = None,
    width: int = 12,
) -> timeseries.Panel:
    """
    Return lines over time.

    Args:
        title: Above them.
        queries: What they show.
        unit: A name of Grafana's.
        help_: What it is, and what to do when it looks bad.
        steps: Value from which on: colour of a dashed line there.
        stacked: One upon the other, as areas.
        most: Top of the scale; None: as the values want it.
        width: Of the 24 columns.
    """
    panel = timeseries.Panel().title(title).description(help_).unit(unit).span(width).height(8).min(0)
    panel = panel.datasource(SOURCE).no_value("0").thresholds(_thresholds(steps or {}))
    legend = common.VizLegendOptions().display_mode(looks.LegendDisplayMode.LIST).show_legend(True)  # noqa: FBT003
    panel = panel.legend(legend.placement(looks.LegendPlacement.BOTTOM).calcs([]))
    both = common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
    panel = panel.tooltip(both).line_width(1).fill_opacity(30 if stacked else 5).span_nulls(60_000)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(looks.GraphTresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(style)
    if most is not None:
        panel = panel.max(most)
    for place, query in enumerate(queries):
        panel = panel.with_target(_target(query, place))
    return panel


def pbx_table(title: str, columns: Sequence[Column], *, help_: str, link: str) -> table.Panel:
    """
    Return a table with one row for each PBX, the sickest first by its first column.

    Args:
        title: Above it.
        columns: Each asks for one value for each `pbx`.
        help_: What it is, and what to do when it looks bad.
        link: Where a click on a PBX's name leads.
    """
    panel = table.Panel().title(title).description(help_).datasource(SOURCE).span(24).height(9).unit("none")
    panel = panel.no_value("-").thresholds(_thresholds({})).show_header(True)  # noqa: FBT003
    for place, column in enumerate(columns):
        # `pbx` must be the only label: the name of a recorded series would make rows of its own.
        query = Query(f"max by (pbx) ({column.expr})")
        panel = panel.with_target(_target(query, place).instant().format(PromQueryFormat.TABLE))
        panel = panel.override_by_name(column.title, _shown(column))
    to_pbx = [{"title": "This PBX", "url": link, "targetBlank": False}]
    panel = panel.override_by_name("PBX", [model.DynamicConfigValue("links", to_pbx)])
    titles = {f"Value #{ascii_uppercase[place]}": column.title for place, column in enumerate(columns)}
    order = {name: place for place, name in enumerate(["pbx", *titles])}
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": {"pbx": "PBX", **titles}}
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organize))
    first = common.TableSortByFieldState().display_name(columns[0].title).desc(True)  # noqa: FBT003
    return panel.sort_by([first])


def _shown(column: Column) -> list[model.DynamicConfigValue]:
    shown = [model.DynamicConfigValue("unit", column.unit)]
    if column.steps or column.words:
        shown.append(model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.steps:
        shown.append(model.DynamicConfigValue("thresholds", _thresholds(column.steps).build()))
    if column.words:
        shown.append(model.DynamicConfigValue("mappings", [_mapping(column.words)]))
    return shown


def _target(query: Query, place: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(ascii_uppercase[place]).datasource(SOURCE)
    return target.legend_format(query.legend or "__auto")


def _thresholds(steps: Mapping[float, str]) -> dashboard.ThresholdsConfig:
    levels = [model.Threshold(None, GOOD), *(model.Threshold(value, colour) for value, colour in steps.items())]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(levels)


def _mapping(words: Mapping[int, tuple[str, str]]) -> model.ValueMap:
    return model.ValueMap(
        options={
            str(value): model.ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in enumerate(words.items())
        }
    )

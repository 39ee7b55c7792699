"""A dashboard from rows of panels, as JSON that is the same each time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from ops.grafana.panels import SOURCE, Panel

# Names that others link to: the dashboards' addresses are /d/UID.
FLEET, ONE_PBX = "outdial-fleet", "outdial-pbx"


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: rows of panels under their titles, in the order of the questions of somebody on call."""

    uid: str
    title: str
    description: str
    rows: Mapping[str, Sequence[Panel]]
    by_pbx: bool = False

    def json(self) -> str:
        """Return what Grafana takes, ending with a new line."""
        built = self._builder().build()
        return json.dumps(json.loads(JSONEncoder().encode(built)), indent=1, sort_keys=True) + "\n"

    def _builder(self) -> dashboard.Dashboard:
        board = dashboard.Dashboard(self.title).uid(self.uid).description(self.description).tags(["outdial"])
        board = board.timezone("browser").time("now-3h", "now").refresh("30s").readonly()
        board = board.tooltip(model.DashboardCursorSync.CROSSHAIR).variables(list(self._variables()))
        others = dashboard.DashboardLink("outdial").type(model.DashboardLinkType.DASHBOARDS).tags(["outdial"])
        board = board.link(others.include_vars(True).keep_time(True))  # noqa: FBT003  builders
        numbers = count(1)
        for title, panels in self.rows.items():
            board = board.with_row(dashboard.Row(title).id(next(numbers)))
            for panel in panels:
                board = board.with_panel(panel.id(next(numbers)))
        return board

    def _variables(self) -> Sequence[dashboard.DatasourceVariable | dashboard.QueryVariable]:
        # Without ids of their own the SDK gives all variables the same one.
        source = dashboard.DatasourceVariable("source").id("source").label("Prometheus").type("prometheus")
        if not self.by_pbx:
            return [source]
        pbx = dashboard.QueryVariable("pbx").id("pbx").label("PBX").datasource(SOURCE)
        pbx = pbx.query("label_values(outdial_paused, pbx)").sort(model.VariableSort.ALPHABETICAL_ASC)
        return [source, pbx.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)]

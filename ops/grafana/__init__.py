"""Two dashboards for Grafana, written as code: `python -m ops.grafana` makes the JSON in `dashboards/` anew."""

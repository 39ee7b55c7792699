"""Asking for metrics as Prometheus does, and reading the answer."""

from collections import Counter

import requests
from prometheus_client.parser import text_string_to_metric_families

Scrape = Counter[tuple[str, frozenset[tuple[str, str]]]]


def ask(port: int, path: str = "/metrics", *, accept: str = "*/*") -> requests.Response:
    """Return the answer of whoever tells metrics on this port."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept}, timeout=60)


def scrape(port: int) -> Scrape:
    """Return all series of one scrape: (name, labels) to value; empty where nobody listens yet."""
    try:
        answer = ask(port)
    except requests.ConnectionError:
        return Counter()
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    return Counter({(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples})


def value(found: Scrape, name: str, **labels: str) -> float:
    """Return the sum of all series of this name that have these labels; 0 where there is none."""
    wanted = labels.items()
    return sum(value for (series, has), value in found.items() if series == name and wanted <= set(has))

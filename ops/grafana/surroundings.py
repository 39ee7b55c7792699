"""Rows of the fleet about what is around the dialing: who is told, Redis, hosts, the intake."""

from ops.grafana.panels import BAD, GOOD, ODD, Panel, Query, graph, number, or_none


def telling() -> list[Panel]:
    """Results on their way to endpoints."""
    attempts = "sum by (endpoint, result) (increase(outdial_webhook_attempts_total[5m]))"
    seconds = "histogram_quantile(0.95, sum by (endpoint, le) (rate(outdial_webhook_seconds_bucket[5m]))) >= 0"
    unwell = 'max by (endpoint, state) (outdial_webhook_endpoint_state{state!="well"}) == 1'
    return [
        graph(
            "Results waiting to be told",
            Query(or_none("topk(10, max by (endpoint) (outdial_webhook_waiting))", "endpoint"), "{{endpoint}}"),
            unit="short",
            width=8,
            help_="By endpoint. Growing: it fails or is slow; `outdial webhooks list` says what it answers.",
        ),
        graph(
            "Endpoints that are not well",
            Query(or_none(unwell, "endpoint"), "{{endpoint}} {{state}}"),
            unit="short",
            most=1,
            width=8,
            help_="Failing ones are tried again by themselves, disabled ones are not: mend it, then `outdial "
            "webhooks enable NAME` and `outdial webhooks replay --endpoint NAME`.",
        ),
        graph(
            "Given up, and kept for a replay",
            Query(or_none("topk(10, max by (endpoint) (outdial_webhook_dead))", "endpoint"), "{{endpoint}}"),
            unit="short",
            width=8,
            help_="`outdial webhooks failed --endpoint NAME` lists them, `replay` sends them again.",
        ),
        graph(
            "Deliveries, in five minutes",
            Query(or_none(f"topk(10, {attempts})", "endpoint"), "{{endpoint}} {{result}}"),
            unit="short",
            stacked=True,
            help_="What became of attempts to tell results. Where all of one endpoint fail, "
            "`outdial webhooks test NAME` says why.",
        ),
        graph(
            "How long endpoints take, 95 of 100",
            Query(or_none(f"topk(10, {seconds})", "endpoint"), "{{endpoint}}"),
            unit="s",
            steps={10: ODD},
            help_="Slow ones hold up their own deliveries only. After timeout_s (15 s) an attempt is given up.",
        ),
    ]


def redis() -> list[Panel]:
    """The one part all others need."""
    return [
        number(
            "Redis answers",
            "min(outdial_redis_up) or vector(0)",
            unit="none",
            words={0: ("no", BAD), 1: ("yes", GOOD)},
            help_="As every host sees it. No: nobody dials, and no job is lost. See its log, and `outdial "
            "doctor`.",
        ),
        number(
            "Append-only file",
            "max(outdial_redis_aof_enabled) or vector(0)",
            unit="none",
            words={0: ("off", BAD), 1: ("on", GOOD)},
            help_="Off: a restart of Redis loses jobs. `redis-cli config set appendonly yes`, and in its file.",
        ),
        number(
            "Replicas",
            "max(outdial_redis_connected_replicas) or vector(0)",
            unit="short",
            help_="Connected ones. Fewer than replication.wait_replicas: nobody dials until they are back.",
        ),
        graph(
            "Memory of Redis",
            Query("max(outdial_redis_memory_bytes)", "used"),
            Query("max(outdial_redis_memory_limit_bytes) > 0", "limit"),
            unit="bytes",
            help_="At the limit Redis takes no jobs and nobody dials. A waiting job takes about 1 kB. No line "
            "of a limit: there is none, and the host's memory is.",
        ),
    ]


def hosts() -> list[Panel]:
    """Machines and processes, and the HTTP intake."""
    http_time = "histogram_quantile(0.95, sum by (route, le) (rate(outdial_http_request_seconds_bucket[5m]))) >= 0"
    return [
        graph(
            "Hosts that answer",
            Query('up{job=~"outdial-worker|outdial-api"}', "{{job}} {{instance}}"),
            unit="short",
            most=1,
            width=8,
            help_="1: its metrics can be read. 0: the host is down, or Prometheus cannot reach it.",
        ),
        graph(
            "Workers and slots",
            Query("max(outdial_workers)", "workers"),
            Query("max(outdial_worker_slots)", "slots"),
            Query("max(outdial_couriers)", "couriers"),
            unit="short",
            width=8,
            help_="As they tell Redis themselves. Calls under way at once cannot be more than slots.",
        ),
        graph(
            "Worker processes started, in an hour",
            Query("sum by (instance) (increase(outdial_worker_process_starts_total[1h]))", "{{instance}}"),
            unit="short",
            width=8,
            help_="Some at every start of a host. Again and again: processes die, see the log for worker_died.",
        ),
        graph(
            "Requests to the intake",
            Query(or_none("sum by (status) (rate(outdial_http_requests_total[5m]))", "status"), "{{status}}"),
            unit="reqps",
            stacked=True,
            help_="By HTTP status. 401, 403: a key. 409, 422: what was sent. 429: somebody's quota. 503: Redis "
            "is away.",
        ),
        graph(
            "How long the intake takes, 95 of 100",
            Query(or_none(f"topk(10, {http_time})", "route"), "{{route}}"),
            unit="s",
            steps={1: ODD},
            help_="By route. Requests that wait for a call's end take as long as they asked for.",
        ),
        graph(
            "Versions",
            Query("count by (version) (outdial_build_info)", "{{version}}"),
            unit="short",
            width=24,
            help_="Hosts by version; two of them only while an upgrade rolls.",
        ),
    ]

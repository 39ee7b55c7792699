"""`outdial crm`: the hooks of CRMs that the settings know, and what they would make of a payload."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from producers.commands import config_option
from producers.commands.door import with_dialer_for
from producers.commands.values import HEADER
from producers.crm import Adapter, Answer, BadPayload, Delivery, NotAuthentic, presets
from producers.crm.parts.bodies import MAX_BYTES
from producers.crm.registry import adapter, adapters, kinds
from producers.enqueue import Dialer
from producers.hooks import Planned, plan
from producers.showing import fields_of
from worker.errors import InputRefused
from worker.jobs import RefusedJob
from worker.secret_reader import Role
from worker.settings import ApiSettings

_SHOWN = ("extid", "outto", "pbx", "priority", "autoanswer", "on_unknown", "not_before", "expires_at", "key")


@click.group("crm")
@config_option
@click.pass_context
def crm_command(ctx: click.Context, *, config: str | None) -> None:
    """Look at the hooks of CRMs that the settings know, `[source.NAME]`, and try them out."""
    ctx.obj = config or ctx.obj


@crm_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer_for(Role.INTAKE)
def list_command(dialer: Dialer, *, as_json: bool) -> None:
    """List the sources in the settings: name, kind, methods, and the address that the CRM sends to."""
    made = adapters(dialer.settings.source, pbxs=dialer.settings.pbx)
    rows = [_described(dialer, one) for one in made.values()]
    if as_json:
        click.echo(json.dumps({"sources": rows, "kinds": kinds(), "presets": presets.names()}))
    else:
        for row in rows:
            methods = ",".join(row["methods"])
            shakes = ",".join(row["handshake_methods"])
            line = f"{row['name']:<20}  {row['kind']:<16}  {methods:<8}  {row['url']}"
            click.echo(f"{line}  (handshake: {shakes})" if shakes else line)
        click.echo(
            f"Kinds: {', '.join(kinds())}. Presets of kind generic: {', '.join(presets.names())}.", err=True
        )
    for one in made.values():
        for warning in one.warnings():
            click.echo(f"outdial: source.{one.name}.{warning}", err=True)


@crm_command.command("try")
@click.argument("source")
@click.argument("file")
@click.option("--header", "headers", type=HEADER, multiple=True, help="As the CRM sends it; repeatable.")
@click.option("--method", help="Method of the request; by default the first of the source's `methods`.")
@click.option("--target", metavar="PATH", help="Path and query of the request, else /hooks/SOURCE.")
@click.option("--check-auth", is_flag=True, help="Also check that it proves where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer_for(Role.INTAKE)
def try_command(
    dialer: Dialer,
    *,
    source: str,
    file: str,
    headers: tuple[tuple[str, str], ...],
    method: str | None,
    target: str | None,
    check_auth: bool,
    as_json: bool,
) -> None:
    """
    Show the jobs that SOURCE would make of the payload in FILE, or of standard input for -.

    Nothing is dialed or stored, and Redis is not asked, so whether it came before is not looked at. Exit code 2 if
    something of it cannot be read or would be refused.
    """
    adapter = _adapter_of(dialer, source)
    url = _public_url(dialer.settings.api) + (target or f"/hooks/{source}")
    named = {name.lower(): value for name, value in headers}
    method = (method or adapter.settings.methods[0]).upper()
    delivery = Delivery(method, url, named, _content(file), _token(url), time.time())
    try:
        if (handshake := adapter.handshake(delivery, checked=check_auth)) is not None:
            _show_handshake(handshake, as_json=as_json)
            return
        if method not in adapter.settings.methods:
            raise InputRefused([f"{source}: {_not_allowed(adapter, delivery)}"])
        wishes = adapter.read(delivery) if check_auth else adapter.wishes(delivery)
        over = adapter.passed_over(delivery)
    except (BadPayload, NotAuthentic) as wrong:
        raise InputRefused([f"{source}: {wrong}"]) from None
    planned = plan(dialer, adapter, wishes)
    _show(planned, over, as_json=as_json)
    if any(isinstance(one.order.job, RefusedJob) for one in planned):
        sys.exit(2)


def _not_allowed(adapter: Adapter, delivery: Delivery) -> str:
    some = " or ".join(adapter.settings.methods)
    refusal = f"answers 405 to {delivery.method[:20]}; send {some}, or change its methods"
    hint = adapter.handshake_hint(delivery)
    return f"{refusal}; {hint}" if hint else refusal


def _show_handshake(answer: Answer, *, as_json: bool) -> None:
    shown = {
        "status": answer.status,
        "media_type": answer.media_type,
        "headers": dict(answer.headers),
        "body": answer.body.decode(),
    }
    if as_json:
        click.echo(json.dumps({"handshake": shown, "jobs": [], "passed_over": []}, ensure_ascii=False))
        return
    click.echo("It is a handshake: no job would be made, and this would be answered:")
    for line in fields_of(shown):
        click.echo(f"  {line}")


def _show(planned: Sequence[Planned], over: Sequence[str], *, as_json: bool) -> None:
    jobs = [_plain(one) for one in planned]
    if as_json:
        click.echo(json.dumps({"jobs": jobs, "passed_over": list(over)}, ensure_ascii=False))
        return
    for job in jobs:
        click.echo("\n".join([*_lines(job), ""]))
    for sentence in over:
        click.echo(f"Passed over: {sentence}")
    if not jobs:
        click.echo("No job would be made of it.")


def _plain(planned: Planned) -> dict[str, Any]:
    job = planned.order.job
    if isinstance(job, RefusedJob):
        why = {"state": "refused", "errno": job.errno, "error": job.error}
        # Whoever tries it is to see which user to add, though the sentence may mask a long id.
        return why | {
            "user": planned.wish.user,
            "extid": job.extid,
            "pbx": job.pbx,
            "key": job.key,
            "metadata": dict(job.metadata),
        }
    plain = job.model_dump(mode="json")
    shown = {name: plain[name] for name in _SHOWN if plain[name] is not None}
    more = {"expires_in_s": planned.order.expires_in_s, "metadata": job.metadata}
    return {"state": "waiting"} | shown | more | ({"skipped": list(planned.skipped)} if planned.skipped else {})


def _lines(job: dict[str, Any]) -> Iterator[str]:
    yield "A job would be refused:" if job["state"] == "refused" else "A job would be made:"
    yield from (f"  {line}" for line in fields_of({name: job[name] for name in job if name != "state"}))


def _described(dialer: Dialer, adapter: Adapter) -> dict[str, Any]:
    url = f"{_public_url(dialer.settings.api)}/hooks/{adapter.name}"
    methods = sorted(adapter.settings.methods)
    handshake = sorted(adapter.handshake_methods)
    return {
        "name": adapter.name,
        "kind": adapter.settings.kind,
        "methods": methods,
        "handshake_methods": handshake,
        "url": url,
    }


def _adapter_of(dialer: Dialer, source: str) -> Adapter:
    sources = dialer.settings.source
    if source not in sources:
        advice = f"choose one of {', '.join(sources)}" if sources else "add a block [source.NAME]"
        raise InputRefused([f"source: {source!r} is not in the settings; {advice}"])
    return adapter(source, sources[source])


def _public_url(api: ApiSettings) -> str:
    scheme = "https" if api.tls_cert else "http"
    return api.public_url or f"{scheme}://{api.address}:{api.port}"


def _token(url: str) -> str | None:
    """Return what stands behind the source's name in /hooks/SOURCE/TOKEN."""
    return dict(enumerate(urlsplit(url).path.split("/"))).get(3) or None


def _content(file: str) -> bytes:
    try:
        stream = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputRefused([f"{file}: {error.strerror or 'cannot be read'}; name the file of a payload"]) from None
    with stream:
        return stream.read(MAX_BYTES + 1)

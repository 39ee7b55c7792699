"""Carries out a fault rule on one request; what each kind means is written in `faults`."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from tornado.iostream import IOStream, StreamClosedError
from tornado.web import RequestHandler

from ops.pbx_simulator.faults import FaultRule

# Cut in the middle of a word and not UTF-8 either: no lenient parser makes sense of it.
GARBAGE: Final = b'{"status":"Succ\xff\xfe'
# SO_LINGER on, zero seconds: close sends RST and the client sees "connection reset", as when a PBX dies.
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class Simulation(Protocol):
    """What a fault may do to the whole PBX."""

    def forget_tokens(self) -> int:
        """Forget all tokens and return how many were alive."""
        ...

    def restart(self, *, down_s: float) -> None:
        """Forget tokens and calls, reset connections, refuse new ones for *down_s*; returns at once."""
        ...


class Exchange:
    """
    One request that a fault acts on.

    Args:
        handler: Its tornado handler, nothing written yet.
        rule: The fault.
        perform: Lets the request take effect and returns the body it would be answered with.
        simulation: The PBX around it.
    """

    def __init__(
        self,
        handler: RequestHandler,
        *,
        rule: FaultRule,
        perform: Callable[[], Mapping[str, object]],
        simulation: Simulation,
    ) -> None:
        self.handler = handler
        self.rule = rule
        self.perform = perform
        self.simulation = simulation

    async def misbehave(self) -> None:
        """Do what the rule says; on return the exchange is over."""
        if self.rule.ring:
            self.perform()
        await _KINDS[self.rule.kind](self)

    def reply(self, body: Mapping[str, object]) -> None:
        """Answer with *body* as the PBX would."""
        finish_json(self.handler, body)

    def cut(self) -> None:
        """Reset the connection without a reply."""
        reset(self.handler.detach())


def finish_json(handler: RequestHandler, body: Mapping[str, object]) -> None:
    """Answer with *body* in the PBX's compact JSON."""
    handler.set_header("Content-Type", "application/json")
    handler.finish(json.dumps(body, separators=(",", ":")).encode())


def reset(stream: IOStream) -> None:
    """Close *stream* with a TCP reset; nothing happens if it is closed."""
    if stream.closed():
        return
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    stream.close()


async def _errno(exchange: Exchange) -> None:
    exchange.reply({"status": exchange.rule.status_word, "errno": exchange.rule.errno})


async def _delay(exchange: Exchange) -> None:
    body = exchange.perform()
    await asyncio.sleep(exchange.rule.delay_s)
    exchange.reply(body)


async def _hang(exchange: Exchange) -> None:
    stream = exchange.handler.detach()
    gone = asyncio.Event()
    stream.set_close_callback(gone.set)
    await gone.wait()


async def _drop_before_ring(exchange: Exchange) -> None:
    exchange.cut()


async def _drop_after_ring(exchange: Exchange) -> None:
    exchange.perform()
    exchange.cut()


async def _http_status(exchange: Exchange) -> None:
    status = exchange.rule.status
    exchange.handler.set_status(status, "Simulated fault")
    exchange.handler.set_header("Content-Type", "text/html")
    if exchange.rule.retry_after is not None:
        exchange.handler.set_header("Retry-After", exchange.rule.retry_after)
    exchange.handler.finish(f"<html><body><h1>{status}</h1></body></html>")


async def _garbage(exchange: Exchange) -> None:
    exchange.handler.set_header("Content-Type", "application/json")
    exchange.handler.finish(GARBAGE)


async def _token_loss(exchange: Exchange) -> None:
    exchange.simulation.forget_tokens()
    exchange.reply(exchange.perform())


async def _restart(exchange: Exchange) -> None:
    exchange.simulation.restart(down_s=exchange.rule.delay_s)


async def _redirect(exchange: Exchange) -> None:
    request = exchange.handler.request
    exchange.handler.set_status(exchange.rule.status)
    exchange.handler.set_header("Location", exchange.rule.location or request.full_url())
    exchange.handler.finish()


async def _slow_body(exchange: Exchange) -> None:
    body = json.dumps(exchange.perform(), separators=(",", ":")).encode()
    exchange.handler.set_header("Content-Type", "application/json")
    exchange.handler.set_header("Content-Length", str(len(body)))
    try:
        for byte in body:
            exchange.handler.write(bytes([byte]))
            await exchange.handler.flush()
            await asyncio.sleep(exchange.rule.delay_s)
        exchange.handler.finish()
    except StreamClosedError:
        return


_KINDS: Final[Mapping[str, Callable[[Exchange], Awaitable[None]]]] = {
    "errno": _errno,
    "delay": _delay,
    "hang": _hang,
    "drop_before_ring": _drop_before_ring,
    "drop_after_ring": _drop_after_ring,
    "http_status": _http_status,
    "garbage": _garbage,
    "token_loss": _token_loss,
    "restart": _restart,
    "redirect": _redirect,
    "slow_body": _slow_body,
}

"""
A PBX that speaks the Yeastar S-Series HTTP API, for tests, the demo and chaos runs.

    python -m ops.pbx_simulator --port 0 --cert-dir DIR --journal FILE [--events-to URL] [--faults FILE]

It prints one JSON line when it listens and stops cleanly on SIGTERM. The journal tells what really rang,
whatever the HTTP replies said. How the rooms hang together:

    __main__ -> options -> server -> misbehaviour -> pbx -> sessions, switchboard, journal, events
                           control ------^            faults, resources (the names both sides use)

Nothing in here is safe to expose: the control endpoint asks for no password. Keep it on loopback.

Source: the vendor's public S-Series API guides, v1.0.x to v2.0.0. What they leave open is marked [guess] in
the code.
"""

from __future__ import annotations

from ops.pbx_simulator.journal import Hit, Ring, read_hits, read_journal, rung_twice

__all__ = ["Hit", "Ring", "read_hits", "read_journal", "rung_twice"]

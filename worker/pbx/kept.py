"""Connections kept open to PBXs: few, however many PBXs there are, for a process may open only so many files."""

import queue
import threading
import time
from typing import Any

# A connection that was idle for longer is not used again: the PBX may be closing it just as we send, which would
# look like a lost reply. Under load, connections are idle for less. At a PBX that is paced, each call has a
# connection of its own, which costs a handshake; a lost reply costs a person's time.
KEEP_IDLE_S = 0.005
# A new connection costs a handshake, and few processes dial more PBXs than this within a second.
MOST_PBXS = 128


class KeptConnections:
    """Closes connections in urllib3's pools that no request will use again; threads may share it."""

    def __init__(self) -> None:
        # Those with idle connections, the least recently used first.
        self._pools: dict[Any, None] = {}
        self._lock = threading.Lock()

    def add(self, pool: Any) -> None:
        """Note that a connection has come back to *pool*; of too many pools, close the one used longest ago."""
        with self._lock:
            self._pools.pop(pool, None)
            self._pools[pool] = None
            oldest = next(iter(self._pools)) if len(self._pools) > MOST_PBXS else None
            if oldest is not None:
                del self._pools[oldest]
        if oldest is not None:
            _close(oldest, unused_since=time.monotonic())

    def close_idle(self) -> None:
        """Close the connections that have been idle for too long."""
        unused_since = time.monotonic() - KEEP_IDLE_S
        with self._lock:
            pools = list(self._pools)
        for pool in pools:
            # Out first: a connection that comes back meanwhile puts its pool in again.
            with self._lock:
                self._pools.pop(pool, None)
            if _close(pool, unused_since=unused_since):
                with self._lock:
                    self._pools.setdefault(pool)


def _close(pool: Any, *, unused_since: float) -> int:
    """Close the idle connections of a pool that no request has used since a moment; return how many stay."""
    # The idle ones lie on top of the pool's free places. While one is taken out, no request can get it.
    idle = list(iter(lambda: _taken(pool), None))
    stay = [connection for connection in idle if connection.used_at > unused_since]
    unused = [connection for connection in idle if connection.used_at <= unused_since]
    for connection in unused:
        connection.close()
        _put_back(pool, None)
    for connection in reversed(stay):
        _put_back(pool, connection)
    return len(stay)


def _taken(pool: Any) -> Any:
    try:
        connection = pool.pool.get_nowait()
    except queue.Empty:
        return None
    if connection is None:  # a free place
        _put_back(pool, None)
    return connection


def _put_back(pool: Any, connection: Any) -> None:
    try:
        pool.pool.put_nowait(connection)
    except queue.Full:  # requests made connections meanwhile, and brought them back
        if connection is not None:
            connection.close()

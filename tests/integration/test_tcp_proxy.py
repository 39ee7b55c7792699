"""The proxy of the fault tests: what it loses and what it keeps."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ops.ports import reserve_port
from ops.tcp_proxy import TcpProxy
from tests.integration.hopper.stage import eventually

SHORT_S = 0.1
LONG_S = 60.0


class UpperCase:
    """A server that answers in capitals and remembers what it heard."""

    def __init__(self) -> None:
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            self._ends.append(end)
            self._threads.append(threading.Thread(target=self._answer, args=(end,)))
            self._threads[-1].start()

    def _answer(self, end: socket.socket) -> None:
        with end:
            try:
                while data := end.recv(1 << 20):
                    self.heard += data
                    end.sendall(data.upper())
            except OSError:
                pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(LONG_S)


@pytest.fixture
def server() -> Iterator[UpperCase]:
    made = UpperCase()
    yield made
    made.close()


@pytest.fixture
def proxy(server: UpperCase) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", server.port) as made:
        yield made


@contextmanager
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=LONG_S) as made:
        yield made


def asked(end: socket.socket, text: bytes) -> bytes:
    end.sendall(text)
    return exactly(end, len(text))


def exactly(end: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count and (more := end.recv(count - len(read))):
        read += more
    return read


def is_silent(end: socket.socket) -> bool:
    end.settimeout(SHORT_S)
    try:
        end.recv(1)
    except TimeoutError:
        return True
    finally:
        end.settimeout(LONG_S)
    return False


def test_a_good_proxy_passes_everything_on_and_ends_with_either_end(proxy: TcpProxy) -> None:
    large = b"x" * 3_000_000
    with client(proxy) as end:
        sender = threading.Thread(target=end.sendall, args=(large,))
        sender.start()
        assert exactly(end, len(large)) == large.upper()
        sender.join()
        assert asked(end, b"hello") == b"HELLO"
        end.shutdown(socket.SHUT_WR)
        assert end.recv(1) == b""
    assert eventually(lambda: proxy.connections() == 0)


def test_swallowed_replies_reach_nobody_and_the_connection_stays_deaf(proxy: TcpProxy, server: UpperCase) -> None:
    with client(proxy) as old:
        assert asked(old, b"one") == b"ONE"
        proxy.swallow_replies()
        old.sendall(b"two")
        assert eventually(lambda: server.heard == b"onetwo")
        assert is_silent(old)
        assert proxy.deaf() == 1
        proxy.pass_on()
        old.sendall(b"three")
        assert is_silent(old)
        with client(proxy) as new:
            assert asked(new, b"four") == b"FOUR"


def test_a_connection_that_lost_nothing_goes_on(proxy: TcpProxy) -> None:
    with client(proxy) as end:
        assert asked(end, b"one") == b"ONE"
        proxy.swallow_all()
        proxy.pass_on()
        assert asked(end, b"two") == b"TWO"


def test_swallowing_all_keeps_requests_and_the_end_from_the_server(proxy: TcpProxy, server: UpperCase) -> None:
    with client(proxy) as end:
        assert asked(end, b"one") == b"ONE"
        proxy.swallow_all()
        end.sendall(b"two")
        assert is_silent(end)
    assert server.heard == b"one"
    assert proxy.connections() == 1
    proxy.cut()
    assert proxy.connections() == 0


def test_what_is_held_arrives_late(proxy: TcpProxy) -> None:
    with client(proxy) as end:
        proxy.hold()
        end.sendall(b"one")
        assert is_silent(end)
        proxy.pass_on()
        assert exactly(end, 3) == b"ONE"


def test_a_cut_resets_who_is_there_and_takes_who_comes(proxy: TcpProxy) -> None:
    with client(proxy) as end:
        assert asked(end, b"one") == b"ONE"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    with client(proxy) as end:
        assert asked(end, b"two") == b"TWO"


def test_refusing_is_for_new_connections_and_the_port_stays(proxy: TcpProxy) -> None:
    with client(proxy) as old:
        assert asked(old, b"one") == b"ONE"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError), client(proxy):
            pass
        assert asked(old, b"two") == b"TWO"
        proxy.pass_on()
        with client(proxy) as new:
            assert asked(new, b"three") == b"THREE"


def test_a_lost_reply_is_one_to_a_request_the_server_did_answer(proxy: TcpProxy, server: UpperCase) -> None:
    with client(proxy) as other, client(proxy) as end:
        proxy.lose_next_reply(to=b"dial")
        assert asked(other, b"ping") == b"PING"
        end.sendall(b"dial 1")
        with pytest.raises(ConnectionResetError):
            end.recv(1)
        assert server.heard == b"pingdial 1"
        assert proxy.lost_replies == 1
        assert asked(other, b"dial 2") == b"DIAL 2"


def test_no_server_behind_it_looks_like_a_reset(server: UpperCase) -> None:
    # The reset may overtake even the client's connect.
    with TcpProxy("127.0.0.1", reserve_port()) as proxy, pytest.raises(ConnectionResetError), client(proxy) as end:
        end.recv(1)

"""A closed gate lets nobody in, and closes only when those inside have left."""

import threading

from ops.chaos.gate import Gate


def test_closing_waits_for_those_inside_and_keeps_others_out() -> None:
    gate, events = Gate(), list[str]()
    inside, may_leave, is_closed, may_open = (threading.Event() for _ in range(4))

    def pass_first() -> None:
        with gate.passed():
            inside.set()
            may_leave.wait(30)
            events.append("first leaves")

    def close() -> None:
        with gate.closed():
            events.append("closed")
            is_closed.set()
            may_open.wait(30)
            events.append("opens")

    def pass_second() -> None:
        with gate.passed():
            events.append("second passes")

    first, closer, second = (threading.Thread(target=step) for step in (pass_first, close, pass_second))
    first.start()
    assert inside.wait(30)
    closer.start()
    may_leave.set()
    assert is_closed.wait(30)
    second.start()
    may_open.set()
    for thread in (first, closer, second):
        thread.join(30)

    assert events == ["first leaves", "closed", "opens", "second passes"]

"""Timers: what is due, in the order in which it is, and alarms that are taken back."""

from __future__ import annotations

from pypes.runtime.scheduler.timers import Timers


def test_alarms_are_due_like_other_timers_unless_they_are_taken_back() -> None:
    now, fired = 0.0, list[str]()
    timers = Timers(lambda: now)
    assert (bool(timers), timers.next_s) == (False, None)
    timers.after(5.0, lambda: fired.append("timer"))
    timers.alarms["a"] = 3.0, lambda: fired.append("a")
    timers.alarms["b"] = 7.0, lambda: fired.append("b")
    assert (bool(timers), timers.next_s) == (True, 3.0)
    now = 4.0
    timers.fire()
    assert (fired, timers.next_s) == (["a"], 5.0)
    now = 6.0
    timers.fire()
    assert (fired, timers.next_s) == (["a", "timer"], 7.0)
    del timers.alarms["b"]
    assert (bool(timers), timers.next_s) == (False, None)

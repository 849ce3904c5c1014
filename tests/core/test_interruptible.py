"""Waits that look now and then whether a signal came. Programs that are interrupted: ``tests/pipeline/test_endings.py``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import Any

import pytest

from pypes.core.interruptible import LOOK_S, News, interruptible, next_of, next_within


def test_a_wait_goes_on_in_slices_until_there_is_something() -> None:
    slices: list[float] = []

    def wait(slice_s: float) -> str:
        slices.append(slice_s)
        return "found" if len(slices) == 4 else ""

    assert interruptible(wait) == "found"
    assert slices == [LOOK_S] * 4


@pytest.mark.parametrize("timeout_s", [-1.0, 0.0, 0.01, LOOK_S + 0.01])
def test_a_wait_for_a_time_ends_then(timeout_s: float) -> None:
    slices: list[float] = []

    def wait(slice_s: float) -> bool:
        slices.append(slice_s)
        return threading.Event().wait(slice_s)

    assert not interruptible(wait, timeout_s)
    assert all(0 <= slice_s <= LOOK_S for slice_s in slices)
    assert len(slices) >= 1 + (timeout_s > LOOK_S)


def test_what_comes_after_a_slice_is_taken_out_of_a_queue() -> None:
    queue: SimpleQueue[int | None] = SimpleQueue()
    threading.Timer(1.5 * LOOK_S, queue.put, (1,)).start()
    queue.put(None)
    assert next_of(queue) is None
    assert next_within(queue, 0.0) is None
    assert next_of(queue) == 1


def test_news_end_one_wait() -> None:
    news = News()
    news.tell()
    news.tell()
    news.wait(1000.0)
    news.wait(0.0)
    threading.Timer(0.01, news.tell).start()
    news.wait(1000.0)


def interrupted(call: Callable[[], Any], at: int) -> BaseException | None:
    """What a call raises that is interrupted at one of its steps; nothing if it has none so far."""
    left = at

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal left
        frame.f_trace_opcodes = True
        left -= event == "opcode"
        if left < 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except BaseException as error:
        return error
    finally:
        sys.settrace(before)
    return None


def test_an_interruption_of_a_wait_comes_alone() -> None:
    found = [interrupted(partial(News().wait, 0.0), at) for at in range(1000)]
    raised = [error for error in found if error is not None]
    assert len(raised) >= 5
    assert {(type(error), error.__context__) for error in raised} == {(KeyboardInterrupt, None)}

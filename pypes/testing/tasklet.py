"""Tasklet: the turns of one component of the original style, taken one by one.

Unit tests of components were written so, with Stackless Python and a :class:`pypes.pype.Pype` at each port::

    component.connect_input("in", pype)
    tasklet = stackless.tasklet(component.run)()
    pype.send("data")
    tasklet.run()

With ``from pypes import testing as stackless`` they run as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet


class tasklet:
    """The ``run`` method of a component that no graph runs, in a thread of control of its own within this thread.

    A component that is run so has the edges that were connected to its ports by hand, and nothing else.
    """

    def __init__(self, run: Callable[[], Any]) -> None:
        """``run`` is the bound method of a component."""
        self._run = run
        self._greenlet: greenlet | None = None

    def __call__(self) -> tasklet:
        """Make it ready to run; the first turn is taken by :meth:`run`."""
        component = self._run.__self__  # type: ignore[attr-defined]
        component._end_turn_by_hand = _yield
        self._greenlet = greenlet(self._run)
        return self

    def run(self) -> None:
        """Take a turn: until the component yields control, or returns. Raises what it raises; then it has ended.

        Raises ``RuntimeError`` for one that has ended, or was never made ready.
        """
        if self._greenlet is None or self._greenlet.dead:
            raise RuntimeError("the tasklet has ended" if self._greenlet is not None else "call the tasklet first")
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()

    @property
    def alive(self) -> bool:
        """True from when it is made ready until ``run`` of the component has returned or raised."""
        return self._greenlet is not None and not self._greenlet.dead


def _yield() -> None:
    parent = getcurrent().parent
    assert parent is not None, "a component yields control within a tasklet"
    parent.switch()

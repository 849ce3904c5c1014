"""Executor: runs work on items somewhere, a stride of them at a time: here, in threads, in processes, on other machines.

*Work* is set up once by each pool worker, which then calls it with one item after the other. Whoever has items submits
them in *strides*, of which each comes back as a whole: an :class:`Outcome` for each item, in the position of the item. What an
item does to its pool worker costs that item and none of its neighbours.

The implementations are :class:`~pypes.placement.inline_executor.InlineExecutor`,
:class:`~pypes.placement.thread_executor.ThreadExecutor` and :class:`~pypes.placement.process_executor.ProcessExecutor`;
``pypes.testing.executors.ExecutorSuite`` is the behaviour that each shows. A module that pool workers load: it imports little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pypes.core.raised import is_interruption


class Work(Protocol):
    """The thing that a pool worker does with each item. Its methods are called in one thread of each pool worker."""

    def setup(self) -> None:
        """Get ready: once, before the first item. Raises why it cannot."""

    def run(self, item: Any) -> Any:
        """The result for an item. Raises what is to be the error of this item."""

    def close(self) -> None:
        """Let go of what ``setup`` has taken. Not called where the pool worker was killed."""


#: Makes the work of one pool worker. It travels to processes with cloudpickle, so it may be a lambda or a closure.
Make = Callable[[], Work]


class Outcome(NamedTuple):
    """Result of one item, or its error."""

    value: Any = None
    error: BaseException | None = None


class ExecutorClosed(Exception):
    """Raised for strides that were not done when their executor was closed, and for those that are submitted later."""


class ExecutorFull(Exception):
    """Raised for a stride beyond :attr:`Executor.capacity`: the caller has not waited for room."""


@runtime_checkable
class Executor(Protocol):
    """Runs work on strides of items. One thread submits at a time; any thread may be told that a stride is done."""

    @property
    def width(self) -> int:
        """Strides that run at once."""

    @property
    def capacity(self) -> int:
        """Strides that may be out at once, those included that wait so that no pool worker does."""

    def setup(self) -> None:
        """Block until all pool workers are set up. Raises what their set-up raised; nothing is left then."""

    def submit(self, items: Sequence[Any]) -> Future[list[Outcome]]:
        """Have a stride of items run, in their order. Does not wait for pool workers, except inline.

        The future has an outcome for each item. It raises :class:`ExecutorClosed` if the executor is closed before. Raises
        :class:`ExecutorFull` and :class:`ExecutorClosed`.
        """

    def close(self) -> None:
        """End all pool workers, the busy ones in the midst of an item where that is possible. Blocks until they have ended."""


class Function:
    """Work that is a function without set-up."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.run = function

    def setup(self) -> None:
        """Nothing to get ready."""

    def close(self) -> None:
        """Nothing to let go of."""


class Calling:
    """Makes work of a function: ``ThreadExecutor(Calling(fetch), width=64)``."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __call__(self) -> Function:
        return Function(self._function)


def outcome_of(run: Callable[[Any], Any], item: Any) -> Outcome:
    """Run one item here. Raises only when the user interrupts the program."""
    try:
        return Outcome(run(item))
    except BaseException as error:  # also SystemExit, and what native code derives from BaseException itself
        if is_interruption(error):
            raise
        return Outcome(None, error)

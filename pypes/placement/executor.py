"""Executor: runs work on items somewhere, a stride of them at a time: here, in threads, in processes, on other machines.

*Work* is set up once by each pool worker, which then calls it with one item after the other. Whoever has items submits
them in *strides*, of which each comes back as a whole: an :class:`Outcome` for each item, in the position of the item. What an
item does to its pool worker costs that item and none of its neighbours.

The implementations are :class:`~pypes.placement.inline_executor.InlineExecutor`,
:class:`~pypes.placement.thread_executor.ThreadExecutor` and :class:`~pypes.placement.process_executor.ProcessExecutor`;
``pypes.testing.executors.ExecutorSuite`` is the behaviour that each shows. A module that pool workers load: it imports little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from pypes.core.raised import is_interruption
from pypes.placement.gathered import Gathered, understand_object

if TYPE_CHECKING:
    from pypes.observe.hiding import Hiding


class Work(Protocol):
    """The thing that a pool worker does with each item. Its methods are called in one thread of each pool worker."""

    def setup(self) -> None:
        """Get ready: once, before the first item. Raises why it cannot."""

    def run(self, item: Any) -> Any:
        """The result for an item. Raises what is to be the error of this item."""

    def close(self) -> None:
        """Let go of what ``setup`` has taken, also if that failed half-way. Not called where the pool worker was killed."""


@runtime_checkable
class SendingWork(Work, Protocol):
    """Work that sends values while it runs an item, besides the result."""

    #: Sends a value; given to the work before it is set up. Blocks while a listener of the item has enough of them.
    send_part: Callable[[Any], None]


@runtime_checkable
class LoadingWork(Work, Protocol):
    """Work that gets something ready when the first item comes that needs it, in a process."""

    #: The time within is not that of the item in hand; given to the work before it is set up.
    untimed: Callable[[], AbstractContextManager[object]]


@runtime_checkable
class HidingWork(Work, Protocol):
    """Work that knows secrets, which its process is not to tell anybody."""

    @property
    def hiding(self) -> Hiding: ...


@runtime_checkable
class BatchWork(Work, Protocol):
    """Work that costs less for several items at once."""

    def run_batch(self, items: Sequence[Any]) -> Sequence[Outcome]:
        """The outcomes of several items, in their order. Raises anything if each is to be run by itself.

        Sent values belong to the first item, or to none if it raises.
        """


#: Makes the work of one pool worker. It travels to processes with cloudpickle, so it may be a lambda or a closure.
Make = Callable[[], Work]


class Outcome(NamedTuple):
    """Result of one item, or its error."""

    value: Any = None
    error: BaseException | None = None
    #: Values that were sent over the item, where nobody listened: to be gone through once. There are none where it failed.
    parts: Iterable[Any] = ()


class Listener(Protocol):
    """Told of the items of one stride as they go on, in any threads. Its methods do not raise."""

    def part(self, at: int, value: Any, size: int) -> None:
        """A value was sent over the item at a position; ``size`` is about its bytes.

        As long as this blocks, the pool worker gets on only as far as there is room on the way.
        """

    def outcome(self, at: int, outcome: Outcome) -> None:
        """An item is done, or has failed."""


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

    def submit(self, items: Sequence[Any], listener: Listener | None = None, *, together: bool = False) -> Future[list[Outcome]]:
        """Have a stride of items run, in their order. Does not wait for pool workers, except inline.

        ``together`` has :class:`BatchWork` run all of them at once, and those by themselves that cannot be run so; without a
        listener only, because what was sent of a batch that fails is taken back.

        Without a ``listener``, what :class:`SendingWork` sends over an item is kept until that is done, in bounded memory.

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


class Runner:
    """Runs strides in a thread of this process."""

    def __init__(self, work: Work, folder: str = "") -> None:
        """``folder`` is where files are made for what is sent."""
        self._run = work.run
        self._run_batch = work.run_batch if isinstance(work, BatchWork) else None
        self._folder = folder
        self._gathered: Gathered | None = None
        self._listener: Listener | None = None
        self._at = 0
        if isinstance(work, SendingWork):
            work.send_part = self._send

    def run(
        self,
        items: Sequence[Any],
        listener: Listener | None,
        is_wanted: Callable[[], bool] = lambda: True,
        *,
        together: bool = False,
        outcomes: list[Outcome] | None = None,
    ) -> list[Outcome]:
        """The outcomes of the items, of as many as are wanted. Those in ``outcomes`` there are already; it gets the others."""
        outcomes = [] if outcomes is None else outcomes
        self._listener = listener
        if together and len(items) > 1 and self._run_batch is not None:
            try:
                outcomes += aligned(self._run_batch(items), items)
                outcomes[0] = self._with_parts(outcomes[0])
                return outcomes
            except BaseException as error:
                if is_interruption(error):
                    raise
                self._gathered = None
                outcomes.clear()
        for self._at, item in enumerate(items[len(outcomes) :], len(outcomes)):
            if not is_wanted():
                break
            outcomes.append(self._with_parts(outcome_of(self._run, item)))
            if listener is not None:
                listener.outcome(self._at, outcomes[-1])
        return outcomes

    def _send(self, value: Any) -> None:
        if self._listener is not None:
            self._listener.part(self._at, value, 0)
            return
        if self._gathered is None:
            self._gathered = Gathered(self._folder, understand_object)
        self._gathered.add_object(value)

    def _with_parts(self, outcome: Outcome) -> Outcome:
        gathered, self._gathered = self._gathered, None
        return outcome if gathered is None else with_parts(outcome, gathered)


def aligned(outcomes: Sequence[Outcome], items: Sequence[Any]) -> Sequence[Outcome]:
    """The outcomes of a batch. Raises ``ValueError`` if they are not as many as its items: each is to be run by itself then."""
    if len(outcomes) != len(items):
        raise ValueError(f"{len(outcomes)} outcomes of a batch of {len(items)} items")
    return outcomes


def with_parts(outcome: Outcome, gathered: Gathered) -> Outcome:
    """The outcome of an item over which values were sent."""
    if outcome.error is None and gathered.fault is None:
        return outcome._replace(parts=gathered)
    gathered.close()
    return outcome if outcome.error is not None else Outcome(None, gathered.fault)


def outcome_of(run: Callable[[Any], Any], item: Any) -> Outcome:
    """Run one item here. Raises only when the user interrupts the program."""
    try:
        return Outcome(run(item))
    except BaseException as error:  # also SystemExit, and what native code derives from BaseException itself
        if is_interruption(error):
            raise
        return Outcome(None, error)

"""Call: one packet's way to the process of an isolated component and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pypes.core.limits import MIB
from pypes.errors import Reject, Retry
from pypes.placement import frames
from pypes.placement.channel import Broken
from pypes.placement.process import Process, failure_in, raised
from pypes.placement.respawner import Respawner
from pypes.placement.spawned import Died

#: Values and bytes that are taken at once from a child that sends a great deal.
PART_VALUES, PART_BYTES = 256, MIB


class _Exhausted(Exception):
    """The component ran out of memory, and the process cannot be relied on any more."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Call:
    """Has the component work on ``value``, until :attr:`is_over`; what goes wrong is kept as :attr:`error`.

    A packet is blamed for the death of its process, or for using up its memory, only if that was a fresh one. Otherwise those
    before it may be the reason, and it is tried again in a fresh one. ``following`` are the values of the calls to come.
    """

    def __init__(
        self, respawner: Respawner[Process], value: Any, timeout_s: float, name: str, following: Sequence[Any] = ()
    ) -> None:
        self.value = value
        self.is_over = False
        #: Ports and values that the component has sent, and that are to be sent on now.
        self.parts: list[tuple[str, Any]] = []
        self.result: Any = None
        self.error: Exception | None = None
        self._respawner = respawner
        self._timeout_s = timeout_s
        self._name = name
        self._following = following
        self._process: Process | None = None
        self._was_fresh = False
        self._answers: Iterator[tuple[int, bytes | bytearray]] = iter(())
        self._has_sent = False

    def go_on(self) -> None:
        """Have the next :attr:`parts`. Blocks until there are enough of them, or no more will come."""
        self.parts = []
        while not self.is_over:
            try:
                if self._process is None:
                    self._begin()
                self._read()
                return
            except TimeoutError:
                self._give_up()
                self._end(Reject(f"not done after {self._timeout_s:g} s in filter {self._name}", "isolated.timeout"))
            except (Died, Broken, _Exhausted) as error:
                self._give_up()
                if self._was_fresh or self._has_sent:
                    self._end(self._blamed(error))
                self._process = None
            except frames.Unspeakable as error:
                self._end(Reject(f"the packet cannot be sent to the process of filter {self._name}: {error}", "isolated.value"))
            except Retry as error:
                self._end(error)

    def _begin(self) -> None:
        process = self._respawner.take()
        if not process.expects(self.value):
            self._respawner.give_up(process)
            process = self._respawner.take()
        self._process, self._was_fresh = process, process.is_fresh
        process.give(self.value)
        process.give_ahead(self._following)
        self._answers = process.answers(self._timeout_s)

    def _read(self) -> None:
        assert self._process is not None
        size = 0
        for kind, payload in self._answers:
            if kind == frames.RAISED:
                failure = failure_in(payload)
                if failure.is_exhausted:
                    raise _Exhausted(raised(failure))
                self._process.finished()
                self._end(raised(failure))
                return
            port, value = self._process.decode(payload, has_port=kind == frames.SENT)
            if kind == frames.DONE:
                self._process.finished()
                self.result = value
                self.is_over = True
                return
            self._has_sent = True
            self.parts.append((port, value))
            size += len(payload)
            if len(self.parts) >= PART_VALUES or size >= PART_BYTES:
                return

    def _give_up(self) -> None:
        assert self._process is not None
        self._respawner.give_up(self._process)

    def _end(self, error: Exception) -> None:
        self.error = error
        self.is_over = True

    def _blamed(self, error: Died | Broken | _Exhausted) -> Exception:
        if isinstance(error, _Exhausted):
            return error.error
        if isinstance(error, Broken):
            return Reject(
                f"the process of the component sent an invalid answer ({error}) in filter {self._name}", "isolated.killed"
            )
        reason = f"{error} in filter {self._name}"
        return Retry(0.0, reason) if error.is_outside else Reject(reason, "isolated.killed")

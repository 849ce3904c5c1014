"""The work of a pool worker: components of one or several filters, set up once, which get one packet after the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from operator import length_hint
from typing import Any, Final, NamedTuple, Protocol

from pypes.component import Component
from pypes.core.limits import KIB
from pypes.core.returned import fault_of, packets_of, unrun
from pypes.core.shown import shown
from pypes.core.unreachable import is_unreachable
from pypes.core.values import size_of
from pypes.errors import ComponentError, PypesError, Retry, Unreachable
from pypes.graph.spec import ComponentSpec
from pypes.observe.hiding import Hiding
from pypes.packet import Packet
from pypes.placement.executor import Outcome
from pypes.placement.retold import Told, told
from pypes.placement.worker_context import WorkerContext
from pypes.runtime.making import Site

HOOK = "process_batch"
#: The code of a component that could not be set up; where it was is ``graph.filter`` then.
SETUP_FAILED: Final = "graph.setup_failed"

#: Values that are sent on their way together, and their bytes.
PART_VALUES: Final = 64
PART_BYTES: Final = 256 * KIB

#: Values that a component has sent: port, whether it is the packet in hand itself, and the value if it is not.
Part = list[tuple[str, bool, Any]]


class Answer(NamedTuple):
    """Outcome of the work on one packet. ``is_own`` says of a value that it is the packet itself.

    ``sent`` is the last :data:`Part`, others were sent ahead; ``result`` is what ``process`` returned. ``own`` is the packet as
    it is then, if it goes on itself. ``counts`` is what was counted meanwhile; an error over which something was counted is a
    ``failure``, since an error that is raised takes nothing along. ``is_of_all``: the packet was one of a batch, and what was
    sent over the first of these was made of the batch as a whole. ``seconds``: so long the work took; that on a batch is its
    first packet's.
    """

    sent: Part
    is_own: bool
    result: Any
    own: Any
    is_kept: bool
    counts: dict[str, int] = {}
    failure: Told | BaseException | None = None
    is_of_all: bool = False
    seconds: float = 0.0


class ToSetUp(Protocol):
    """One filter, as its order has it."""

    @property
    def graph(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def component(self) -> Mapping[str, Any]: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def connected(self) -> tuple[str, ...]: ...


class FilterWork:
    """Work on items ``(number of the filter, packet)``; results are :class:`Answer`, what is sent ahead are :data:`Part`."""

    def __init__(self, filters: Sequence[ToSetUp], site: Site, *, is_own_process: bool) -> None:
        self._filters = filters
        self._site = site
        self.hiding: Hiding = site.hiding
        self._is_own_process = is_own_process
        self._contexts: list[PoolContext] = []
        self.send_part: Callable[[Part], None] = print  # replaced before anything is sent

    def setup(self) -> None:
        """Set the components up, in their order. Raises ``ComponentError`` that names graph and filter."""
        try:
            for filter in self._filters:
                self._set_up(filter)
        except BaseException:
            self.close()
            raise

    def _set_up(self, filter: ToSetUp) -> None:
        clean = self._site.secrets.redact
        try:
            component = self._site.make(ComponentSpec.from_obj(filter.component), filter.params, filter.name)
            component.name, component.graph_name = filter.name, filter.graph
            context = PoolContext(component, frozenset(filter.connected), self._send_part)
            component._run_context = context
            self._contexts.append(context)
            fault = unrun(component.setup(), "setup")  # type: ignore[func-returns-value]
            if fault is not None:
                raise fault
        except BaseException as error:
            message = clean(error.message) if isinstance(error, PypesError) else f"set-up failed: {shown(error, clean)}"
            raise ComponentError(message, code=SETUP_FAILED, where=f"{filter.graph}.{filter.name}") from error

    def _send_part(self, part: Part) -> None:
        self.send_part(part)

    def run(self, item: tuple[int, Any]) -> Answer:
        number, packet = item
        context = self._contexts[number]
        try:
            answer = context.process(packet)
        except MemoryError:
            raise
        except Exception as error:
            found = self._as_known(error)
            if counts := context.component._counts.take():
                return self._failure(found, counts)
            if found is error:
                raise
            raise found from error
        counts = context.component._counts.take()
        return answer._replace(counts=counts) if counts else answer

    def run_batch(self, items: Sequence[tuple[int, Any]]) -> list[Outcome]:
        """The answers for packets of one filter; a service that is away, and ``Retry``, are the error of all."""
        context = self._contexts[items[0][0]]
        try:
            outcomes = [Outcome(answer) for answer in context.process_batch([packet for _, packet in items])]
            counts = context.component._counts.take()
            if counts:
                outcomes[0] = Outcome(outcomes[0].value._replace(counts=counts))
        except MemoryError:
            raise
        except Exception as error:
            if not isinstance(error, Retry) and not is_unreachable(error):
                raise
            found = self._as_known(error)
            outcomes = [Outcome(None, found)] * len(items)
            if counts := context.component._counts.take():
                outcomes[0] = Outcome(self._failure(found, counts))
        return outcomes

    def _failure(self, error: Exception, counts: dict[str, int]) -> Answer:
        return Answer([], False, None, None, False, counts, told(error) if self._is_own_process else error)

    def _as_known(self, error: Exception) -> Exception:
        """The error as the instance is told of it, which may not know its class."""
        if self._is_own_process and not _is_known(error) and is_unreachable(error):
            known = Unreachable(0.0, shown(error, self._site.secrets.redact))
            known.__cause__ = error
            return known
        return error

    def close(self) -> None:
        """Tear the components down, the last one first."""
        while self._contexts:
            component = self._contexts.pop().component
            try:
                component.teardown()
            except Exception:
                component.log.exception("teardown failed")
            component._shares.give_back_all()


def _is_known(error: Exception) -> bool:
    """True if the class of an error is known wherever Pypes is, so that the instance can tell what it means."""
    return type(error).__module__.partition(".")[0] in ("pypes", *sys.stdlib_module_names)


class PoolContext(WorkerContext):
    """Gathers what a component sends for the answer; what is more than a little leaves ahead of that."""

    def __init__(self, component: Component, connected: frozenset[str], send_part: Callable[[Part], None]) -> None:
        super().__init__(component, connected)
        self._send_part = send_part
        self._gathered: Part = []
        self._bytes = 0
        self._goes_on = False
        self._is_kept = False
        #: Something was sent ahead.
        self._is_ahead = False
        #: Identities of the packets of a batch that are kept.
        self._kept: set[int] = set()

    def process(self, packet: Any) -> Answer:
        """Have the component work on a packet. Raises what it raises."""
        self._begin()
        began_s = time.perf_counter()
        try:
            result = self.work_on(packet)
            is_own = result is packet
            goes_on = packet if is_own or self._goes_on else None
            seconds = time.perf_counter() - began_s
            return Answer(self._gathered, is_own, None if is_own else result, goes_on, self._is_kept, seconds=seconds)
        finally:
            self._gathered = []

    def process_batch(self, packets: list[Any]) -> list[Answer]:
        """Have the component work on several packets together. Raises what it raises."""
        self._begin()
        self._together = packets
        began_s = time.perf_counter()
        try:
            results = self._results(packets)
            seconds = time.perf_counter() - began_s
            first, self._gathered = self._gathered, []
            is_of_all = bool(first) or self._is_ahead
            return [
                Answer(
                    first if not at else [],
                    result is packet,
                    None if result is packet else result,
                    packet if result is packet else None,
                    id(packet) in self._kept,
                    is_of_all=is_of_all,
                    seconds=0.0 if at else seconds,
                )
                for at, (packet, result) in enumerate(zip(packets, results, strict=True))
            ]
        finally:
            self._together = ()
            self._begin()

    def _results(self, packets: list[Any]) -> list[Any]:
        """The results that belong to one packet each, in their places; whatever else the batch came to is sent."""
        process_batch = self.component.process_batch
        assert process_batch is not None
        found = process_batch(packets[:])
        each = packets_of(found, HOOK)
        if length_hint(found, -1) == len(packets):
            own = [*each]
            for result, packet in zip(own, packets, strict=True):
                fault = fault_of(result, packet, HOOK)
                if fault is not None:
                    raise fault
            return own
        places = {id(packet): at for at, packet in enumerate(packets)}
        own = [None] * len(packets)
        for result in each:
            fault = fault_of(result, hook=HOOK)
            if fault is not None:
                raise fault
            at = places.get(id(result))
            if at is not None and own[at] is None:
                own[at] = result
            elif result is not None:
                self.send("out", result)
        return own

    def _begin(self) -> None:
        self._gathered, self._bytes, self._goes_on, self._is_kept, self._is_ahead = [], 0, False, False, False
        self._kept.clear()

    def _sent(self, port: str, data: Any) -> None:
        is_own = data is self._packet and data is not None
        self._goes_on = self._goes_on or is_own
        self._gathered.append((port, is_own, None if is_own else data))
        if not is_own:
            self._bytes += data.size_bytes() if isinstance(data, Packet) else size_of(data)
        if len(self._gathered) >= PART_VALUES or self._bytes >= PART_BYTES:
            part, self._gathered, self._bytes, self._is_ahead = self._gathered, [], 0, True
            self._send_part(part)

    def keep(self, packet: Any) -> None:
        self._is_kept = True
        self._kept.add(id(packet))

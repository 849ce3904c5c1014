"""Isolated proxy: represents to the scheduler a component that runs in a process of its own."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any, Protocol, cast

from pypes.component import ERROR_PORT, Component, check_batching
from pypes.core.limits import MIB, Limits
from pypes.core.values import size_of
from pypes.errors import InvalidComponent, Reject, Retry
from pypes.graph.spec import ComponentSpec, check_isolation
from pypes.packet import Packet
from pypes.placement.component_work import COUNTED, ComponentOrder, ComponentWork
from pypes.placement.conversation import Conversation
from pypes.placement.executor import Outcome
from pypes.placement.found_again import given_parameters, home_of, refuse_in_pool_worker
from pypes.placement.keeper import LocalKeeper
from pypes.placement.pool_frames import UNSENT, VALUE
from pypes.placement.pool_process import TIMEOUT, Bounds, ItemLost
from pypes.placement.process_executor import ItemUnfit, ProcessExecutor
from pypes.placement.words import UserWords

#: Packets, and bytes of them, that are sent together, and for which one offload waits.
RUN_VALUES, RUN_BYTES = 32, MIB

#: The module in which the kinds of components are defined.
CONTRACT = "pypes.component."


def isolate(
    component: Component,
    *,
    limits: Limits,
    timeout_s: float | Callable[[], float] | None = None,
    spec: ComponentSpec | None = None,
    redact: tuple[str, ...] = (),
) -> Component:
    """A component that stands in for ``component`` (configured, not yet set up), which runs in a child process.

    To be put into the scheduler instead of it; it has the same ports, kind, class name, ``accepts``, ``max_attempts``, and
    ``isolated = True``. Set ``data_dir`` and whatever else of a component on the one that is returned. Its ``setup`` starts the
    child and blocks until the component is set up there, ``teardown`` ends it. Of ``component`` only the parameters get there.

    ``timeout_s`` is the time the component may work on one packet, asked for packet by packet if it is a callable; by default
    the component's own or else ``limits.filter_s``. The proxy watches it itself, and its own ``timeout_s`` is infinite: its
    offloaded calls take longer now and then (a new child is set up meanwhile) and must not be taken for hanging.
    ``redact`` are patterns of names whose values are hidden in its log lines.
    ``limits.isolated_bytes`` bounds the child's address space. ``spec`` says where the class is; without it, the class must be
    at the top level of a module.

    Raises :class:`InvalidComponent` for a component that cannot be isolated.
    """
    if isinstance(component, IsolatedProxy):
        return component
    cls = type(component)
    check_isolation(cls)
    check_batching(component)
    if sys.platform == "win32":
        raise InvalidComponent("isolated components run on Linux and macOS only", where=cls.__name__)
    refuse_in_pool_worker(cls)
    home = (spec.module, spec.attr) if spec is not None else home_of(cls)
    kinds = [kind for kind in cls.__mro__ if kind.__module__.startswith(CONTRACT) and issubclass(kind, Component)]
    names = ("__doc__", "__module__", "__metatype__", "Params", "accepts", "joins")
    own = {name: getattr(cls, name) for name in names if hasattr(cls, name)}
    # under the same name, because that is what logs and dead letters call it
    made: IsolatedProxy = type(cls.__name__, (IsolatedProxy, kinds[0]), own)()
    made._inputs, made._outputs = component._inputs, component._outputs
    made._parameters, made.params = component._parameters, component.params
    made.max_attempts, made.data_dir, made.name = component.max_attempts, component.data_dir, component.name
    made.paths, made.secrets = component.paths, component.secrets
    made._home, made._max_bytes, made._redact = home, limits.isolated_bytes, redact
    if timeout_s is None:
        timeout_s = component.timeout_s if component.timeout_s is not None else limits.filter_s
    made._limit_s = timeout_s if callable(timeout_s) else lambda: timeout_s
    return made


class Waiting(Protocol):
    """The part of a running filter that waits without a thread."""

    def wait_for(self, future: Future[None]) -> None: ...


class IsolatedProxy(Component):
    """Sends packets to the pool worker, and what it makes of them on; made by :func:`isolate`.

    It has an executor of one pool worker, which is not trusted, because a hostile document may have taken it over.
    """

    isolated = True
    timeout_s = math.inf

    _home: tuple[str, str]
    _max_bytes: int
    _redact: tuple[str, ...]
    _limit_s: Callable[[], float]
    _executor: ProcessExecutor | None = None

    def __init__(self) -> None:
        super().__init__()
        #: Packets that were sent to the pool worker and are still to be asked for, in their order, with their places.
        self._ahead: deque[tuple[Any, Conversation, int]] = deque()
        #: Strides that are out, some of which nobody asks for any more.
        self._out: list[Future[list[Outcome]]] = []

    def setup(self) -> None:
        ports = {*self.get_out_ports(), *self.get_in_ports(), ERROR_PORT}
        order = ComponentOrder(
            module=self._home[0],
            attr=self._home[1],
            name=self.name,
            graph=self.graph_name,
            params=given_parameters(self),
            data_dir=self.data_dir,
            connected=frozenset(port for port in ports if self.is_connected(port)),
            secrets=dict(self.secrets.known),
            redact=self._redact,
        )
        speech = UserWords(self.secrets.known)
        bounds = Bounds(max_bytes=self._max_bytes, timeout_s=self._limit_s)
        keeper = LocalKeeper(partial(ComponentWork, order), 1, bounds, self.name, place="filter", speech=speech)
        self._executor = ProcessExecutor(keeper, speech, self._max_bytes)
        self._executor.setup()

    def process(self, packet: Any) -> Any:
        conversation, at = self._place_of(packet)
        while True:
            parts, outcome = conversation.take(at)
            for port, value in parts:
                if port == COUNTED:
                    self._add_counts(value)
                else:
                    self.send(port, value)
            if outcome is not None:
                break
            if not parts:
                cast(Waiting, self._run_context).wait_for(conversation.news())
        if outcome.error is not None:
            raise self._error(outcome.error)
        result = outcome.value
        # it was checked where it was made; what came back as it was given is the same for whoever asks for more than equality
        is_same = not isinstance(result, Packet) and type(result) is type(packet) and result == packet
        return packet if is_same else result

    def _add_counts(self, counts: Any) -> None:
        if not isinstance(counts, dict):
            raise Reject(f"the process of filter {self.name} counts in no way that is known", "isolated.value")
        for name, n in counts.items():
            self.count(name, n)

    def _place_of(self, packet: Any) -> tuple[Conversation, int]:
        """The conversation about a packet, begun by now, and its place there; those that follow are sent ahead."""
        assert self._run_context is not None
        if not self._ahead or self._ahead[0][0] is not packet:
            self._leave()
            while not self._has_room:
                self.offload(wait, [*self._out], None, FIRST_COMPLETED)
            self._submit([packet, *self._run_context.upcoming(RUN_VALUES)])
        _, conversation, at = self._ahead.popleft()
        if len(self._ahead) < RUN_VALUES // 2 and self._has_room:
            following = self._run_context.upcoming(RUN_VALUES)[len(self._ahead) :]
            if following:
                self._submit(following)
        return conversation, at

    @property
    def _has_room(self) -> bool:
        assert self._executor is not None
        self._out = [future for future in self._out if not future.done()]
        return len(self._out) < self._executor.capacity

    def _submit(self, packets: Sequence[Any]) -> None:
        """Send packets to the pool worker, as many as are not too large together."""
        assert self._executor is not None
        size = 0
        some: list[Any] = []
        for packet in packets:
            size += packet.size_bytes() if isinstance(packet, Packet) else size_of(packet)
            if some and size > RUN_BYTES:
                break
            some.append(packet)
        conversation = Conversation(some)
        future = self._executor.submit(some, conversation)
        future.add_done_callback(conversation.ended)
        self._out.append(future)
        self._ahead.extend((packet, conversation, at) for at, packet in enumerate(some))

    def _leave(self) -> None:
        """Ask for nothing any more that was sent ahead."""
        for _, conversation, _ in self._ahead:
            conversation.leave()
        self._ahead.clear()

    def _error(self, error: BaseException) -> BaseException:
        """The error of an item as that of a packet of this filter."""
        if isinstance(error, ItemLost):
            reason = f"{error.loss.reason} in filter {self.name}"
            if error.loss.is_outside:
                return Retry(0.0, reason)
            return Reject(reason, "isolated.timeout" if error.loss.code == TIMEOUT else "isolated.killed")
        if isinstance(error, ItemUnfit):
            return Reject(f"the packet cannot be sent to the process of filter {self.name}: {error.__cause__}", "isolated.value")
        if isinstance(error, Reject) and error.code == VALUE:
            reason = str(error.reason).removeprefix(UNSENT)
            return Reject(f"a packet that the component made cannot be sent to the instance: {reason}", "isolated.value")
        return error

    def teardown(self) -> None:
        self._leave()
        if self._executor is not None:
            self._executor.close()
            self._executor = None

"""Isolated proxy: represents to the scheduler a component that runs in a process of its own."""

from __future__ import annotations

import logging
import math
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pypes.component import ERROR_PORT, Component, check_batching
from pypes.core.limits import Limits
from pypes.errors import InvalidComponent
from pypes.graph.spec import ComponentSpec, check_isolation
from pypes.packet import Packet
from pypes.placement import frames
from pypes.placement.call import Call
from pypes.placement.process import AHEAD_VALUES, Process
from pypes.placement.respawner import Respawner

#: Packets for which one offload waits.
RUN_VALUES = 32

#: The module in which the kinds of components are defined.
CONTRACT = "pypes.component."


def isolate(
    component: Component,
    *,
    limits: Limits,
    timeout_s: float | Callable[[], float] | None = None,
    spec: ComponentSpec | None = None,
) -> Component:
    """A component that stands in for ``component`` (configured, not yet set up), which runs in a child process.

    To be put into the scheduler instead of it; it has the same ports, kind, class name, ``accepts``, ``max_attempts``, and
    ``isolated = True``. Set ``data_dir`` and whatever else of a component on the one that is returned. Its ``setup`` starts the
    child and blocks until the component is set up there, ``teardown`` ends it. Of ``component`` only the parameters get there.

    ``timeout_s`` is the time the component may work on one packet, asked for packet by packet if it is a callable; by default
    the component's own or else ``limits.filter_s``. The proxy watches it itself, and its own ``timeout_s`` is infinite: its
    offloaded calls take longer now and then (a new child is set up meanwhile) and must not be taken for hanging.
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
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    if main is not None and main.name == "pypes.placement.child":
        raise InvalidComponent(
            "loading the component in its own process starts a graph; put that code under if __name__ == '__main__'",
            where=cls.__name__,
        )
    home = (spec.module, spec.attr) if spec is not None else _home(cls)
    kinds = [kind for kind in cls.__mro__ if kind.__module__.startswith(CONTRACT) and issubclass(kind, Component)]
    names = ("__doc__", "__module__", "__metatype__", "Params", "accepts", "joins")
    own = {name: getattr(cls, name) for name in names if hasattr(cls, name)}
    # under the same name, because that is what logs and dead letters call it
    made: IsolatedProxy = type(cls.__name__, (IsolatedProxy, kinds[0]), own)()
    made._inputs, made._outputs = component._inputs, component._outputs
    made._parameters, made.params = component._parameters, component.params
    made.max_attempts, made.data_dir, made.name = component.max_attempts, component.data_dir, component.name
    made.paths, made.secrets = component.paths, component.secrets
    made._home, made._max_bytes = home, limits.isolated_bytes
    if timeout_s is None:
        timeout_s = component.timeout_s if component.timeout_s is not None else limits.filter_s
    made._limit_s = timeout_s if callable(timeout_s) else lambda: timeout_s
    return made


class IsolatedProxy(Component):
    """Sends packets to the child, and what it makes of them on; made by :func:`isolate`."""

    isolated = True
    timeout_s = math.inf

    _home: tuple[str, str]
    _max_bytes: int
    _limit_s: Callable[[], float]
    _respawner: Respawner[Process] | None = None
    _latest: Call | None = None

    def __init__(self) -> None:
        super().__init__()
        #: Begun already, for the packets that come next.
        self._calls: deque[Call] = deque()

    def setup(self) -> None:
        ports = {*self.get_out_ports(), *self.get_in_ports(), ERROR_PORT}
        order = frames.Order(
            module=self._home[0],
            attr=self._home[1],
            name=self.name,
            graph=self.graph_name,
            params=_plain(self),
            data_dir=self.data_dir,
            max_bytes=self._max_bytes,
            connected=tuple(port for port in ports if self.is_connected(port)),
            log_level=logging.getLogger().level,
            secrets=dict(self.secrets.known),
        )
        self._respawner = Respawner(self.name, lambda: Process(order))
        self._respawner.first()

    def process(self, packet: Any) -> Any:
        call = self._call_of(packet)
        while True:
            for port, value in call.parts:
                self.send(port, value)
            if call.is_over:
                break
            self.offload(call.go_on)
        if call.error is not None:
            raise call.error
        # it was checked where it was made; what came back as it was given is the same for whoever asks for more than equality
        is_same = not isinstance(call.result, Packet) and type(call.result) is type(packet) and call.result == packet
        return packet if is_same else call.result

    def _call_of(self, packet: Any) -> Call:
        """The call with ``packet``, begun and perhaps over: several packets are sent in one offload."""
        if not self._calls or self._calls[0].value is not packet:
            assert self._run_context is not None
            self._calls.clear()
            self.offload(self._run, [packet, *self._run_context.upcoming(RUN_VALUES)])
        return self._calls.popleft()

    def _run(self, packets: Sequence[Any]) -> None:
        """Run calls up to the first that has something to send on, which must happen before more is read. In a thread."""
        assert self._respawner is not None
        for number, packet in enumerate(packets, 1):
            following = packets[number : number + AHEAD_VALUES]
            call = self._latest = Call(self._respawner, packet, self._limit_s(), self.name, following)
            self._calls.append(call)
            call.go_on()
            if call.parts:
                return

    def teardown(self) -> None:
        if self._respawner is not None:
            self._respawner.close(is_busy=self._latest is not None and not self._latest.is_over)
            self._respawner = self._latest = None
            self._calls.clear()


def _plain(component: Component) -> dict[str, Any]:
    """The parameters as ``configure`` takes them."""
    declared = msgspec.to_builtins(component.params) if component.params is not None else {}
    return {**declared, **{name: pair[0] for name, pair in component._parameters.items()}}


def _home(cls: type[Component]) -> tuple[str, str]:
    """Module (or path of the file) and attribute by which another process finds a class. Raises :class:`InvalidComponent`."""
    module = sys.modules.get(cls.__module__)
    name = cls.__module__
    found = getattr(module, "__spec__", None)
    if name == "__main__" and found is not None:
        name = found.name
    elif not any(finder.find_spec(name.partition(".")[0], None) for finder in sys.meta_path) or name == "__main__":
        # a script, a load file, a test: known here only
        name = getattr(module, "__file__", None) or ""
    attrs = [attr for attr, value in vars(module).items() if value is cls] if module is not None else []
    if not name or not attrs:
        raise InvalidComponent(
            "an isolated component is loaded again in its own process: define it at the top level of a module", where=cls.__name__
        )
    return name, attrs[0]

"""Component work: a component in a pool worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from pypes import logs
from pypes.component import ERROR_PORT, Component
from pypes.core.returned import fault_of, packets_of, unrun
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError
from pypes.placement.words import Sent
from pypes.registry.loading import resolve

T = TypeVar("T")


class ComponentOrder(NamedTuple):
    """The component that a pool worker runs. ``module`` and ``attr`` are those of ``ComponentSpec``."""

    module: str
    attr: str
    name: str
    graph: str
    #: As ``configure`` takes them.
    params: dict[str, Any]
    data_dir: str
    #: Output ports that have wires.
    connected: frozenset[str]
    #: Secrets that are taken out of text: secret → what is shown instead.
    secrets: dict[str, str]


class ComponentWork:
    """Runs packets through a component; what this sends is sent as :class:`Sent`."""

    def __init__(self, order: ComponentOrder) -> None:
        self.send_part: Callable[[Any], None] = print  # replaced before anything is sent
        logs.catch_uncaught()
        self._component = made = _made(order)
        self._context = made._run_context = WorkerContext(made, order.connected, self._sent)
        self._process = made.process if made.process_batch is None else self._process_batch

    def setup(self) -> None:
        fault = unrun(self._component.setup(), "setup")  # type: ignore[func-returns-value]
        if fault is not None:
            raise fault

    def run(self, item: Any) -> Any:
        self._context.packet = item
        try:
            result = self._process(item)
            fault = fault_of(result, item)
            if fault is not None:
                raise fault
            return result
        finally:
            self._context.packet = None

    def close(self) -> None:
        try:
            self._component.teardown()
        except BaseException:
            self._component.log.exception("teardown failed")
        self._component._shares.give_back_all()

    def _sent(self, port: str, data: Any) -> None:
        self.send_part(Sent(port, data))

    def _process_batch(self, packet: Any) -> None:
        assert self._component.process_batch is not None
        for result in packets_of(self._component.process_batch([packet]), "process_batch"):
            fault = fault_of(result, packet, "process_batch")
            if fault is not None:
                raise fault
            if result is not None:
                self._context.send("out", result)


def _made(order: ComponentOrder) -> Component:
    found = resolve(order.module, order.attr)
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise ComponentError(f"{order.module}:{order.attr} is no component class", code="component.broken", where=order.name)
    component = found()
    component.configure(order.params)
    component.name = order.name
    component.graph_name = order.graph
    component.data_dir = order.data_dir
    component.secrets = Secrets(order.secrets)
    return component


class WorkerContext:
    """The scheduler's part, as far as there is one here: the component finds its ports connected and its packets sent."""

    def __init__(self, component: Component, connected: frozenset[str], sent: Callable[[str, Any], None]) -> None:
        self._component = component
        self._connected = connected
        self._sent = sent
        #: The packet in hand.
        self.packet: Any = None

    # -- what a component reaches through its own methods ---------------------------------------------------

    def send(self, port: str, data: Any) -> bool:
        if port not in self._connected:
            if port != ERROR_PORT and not self._component.has_port(port):
                raise ComponentError(
                    f"no output port {port!r}; it has {', '.join(self._component.get_out_ports()) or 'none'}",
                    code="component.no_port",
                    where=self._component.name,
                )
            return False
        self._sent(port, data)
        return True

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return fn(*args, **kwargs)  # nothing else runs here that could go on meanwhile

    def is_connected(self, port: str) -> bool:
        return port in self._connected

    def current(self) -> Any:
        return self.packet

    def upcoming(self, count: int) -> Sequence[Any]:
        return ()

    def release(self) -> None:
        """Nothing is held here."""

    def keep(self, packet: Any) -> None:
        raise ComponentError(
            "keep does not reach the graph from a process of its own; set isolated = False",
            code="component.style",
            where=self._component.name,
        )

    def receive(self, port: str) -> Any:
        raise self._only_in_run("receive")

    def receive_all(self, port: str) -> Iterator[Any]:
        raise self._only_in_run("receive_all")

    def yield_ctrl(self) -> None:
        raise self._only_in_run("yield_ctrl")

    def _only_in_run(self, method: str) -> ComponentError:
        return ComponentError(
            f"{method} belongs to the run() loop of the original style; with process() packets are handed to the component",
            code="component.style",
            where=self._component.name,
        )

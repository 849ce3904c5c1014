"""Component work: a component in a pool worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pypes import logs
from pypes.component import Component
from pypes.core.returned import unrun
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError
from pypes.observe.hiding import Hiding
from pypes.placement.words import Sent
from pypes.placement.worker_context import WorkerContext
from pypes.registry.loading import resolve

#: In place of a port of what is sent: the value is what the component has counted. No port has this name.
COUNTED: Final = ""


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
    #: Patterns of names whose values are hidden in log lines.
    redact: tuple[str, ...] = ()


class ComponentWork:
    """Runs packets through a component; what this sends is sent as :class:`Sent`."""

    def __init__(self, order: ComponentOrder) -> None:
        self.send_part: Callable[[Any], None] = print  # replaced before anything is sent
        logs.catch_uncaught()
        self._component = made = _made(order)
        self.hiding = Hiding(order.redact, made.secrets)
        self._context = made._run_context = SendingContext(made, order.connected, self._sent)

    def setup(self) -> None:
        fault = unrun(self._component.setup(), "setup")  # type: ignore[func-returns-value]
        if fault is not None:
            raise fault

    def run(self, item: Any) -> Any:
        return self._context.work_on(item)

    def close(self) -> None:
        try:
            self._component.teardown()
        except BaseException:
            self._component.log.exception("teardown failed")
        self._component._shares.give_back_all()

    def _sent(self, port: str, data: Any) -> None:
        self.send_part(Sent(port, data))


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


class SendingContext(WorkerContext):
    """Sends each part as it comes."""

    def __init__(self, component: Component, connected: frozenset[str], sent: Callable[[str, Any], None]) -> None:
        super().__init__(component, connected)
        self._send_on = sent

    def work_on(self, packet: Any) -> Any:
        try:
            return super().work_on(packet)
        finally:
            if counts := self.component._counts.take():
                self._send_on(COUNTED, counts)

    def _sent(self, port: str, data: Any) -> None:
        self._send_on(port, data)

    def keep(self, packet: Any) -> None:
        raise ComponentError(
            "keep does not reach the graph from a process of its own; set isolated = False",
            code="component.style",
            where=self.component.name,
        )

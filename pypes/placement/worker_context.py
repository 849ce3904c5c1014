"""Worker context: the scheduler's part for a component in a pool worker, as far as there is one there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pypes.component import ERROR_PORT, Component
from pypes.component.misuse import no_port, only_in_run
from pypes.core.returned import fault_of, packets_of
from pypes.core.trace_context import TraceContext

T = TypeVar("T")


class WorkerContext:
    """Has the component work on one packet after the other. Where what it sends goes, and who keeps packets, others say."""

    def __init__(self, component: Component, connected: frozenset[str]) -> None:
        self.component = component
        self._connected = connected
        self._packet: Any = None
        #: The packets of a batch while they are worked on together.
        self._together: Sequence[Any] = ()
        self._process = component.process if component.process_batch is None else self._process_batch

    def work_on(self, packet: Any) -> Any:
        """The result of ``process``, which is a packet or nothing. Raises what the component raises."""
        self._packet = packet
        try:
            result = self._process(packet)
            fault = fault_of(result, packet)
            if fault is not None:
                raise fault
            return result
        finally:
            self._packet = None

    def _process_batch(self, packet: Any) -> None:
        assert self.component.process_batch is not None
        for result in packets_of(self.component.process_batch([packet]), "process_batch"):
            fault = fault_of(result, packet, "process_batch")
            if fault is not None:
                raise fault
            if result is not None:
                self.send("out", result)

    def _sent(self, port: str, data: Any) -> None:
        """Take what the component sends to a port that has a wire."""
        raise NotImplementedError

    # -- what a component reaches through its own methods ---------------------------------------------------

    def send(self, port: str, data: Any) -> bool:
        if port not in self._connected:
            if port != ERROR_PORT and not self.component.has_port(port):
                raise no_port(self.component, port)
            return False
        self._sent(port, data)
        return True

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return fn(*args, **kwargs)  # nothing else runs here that could go on meanwhile

    def keep(self, packet: Any) -> None:
        raise NotImplementedError

    def is_connected(self, port: str) -> bool:
        return port in self._connected

    def current(self) -> Any:
        return self._packet

    def in_work(self) -> Sequence[Any]:
        return self._together if self._packet is None else (self._packet,)

    def upcoming(self, count: int) -> Sequence[Any]:
        return ()

    def trace_contexts(self, packets: Iterable[Any] | None) -> tuple[TraceContext, ...]:
        return ()  # which deliveries belong to a trace is known in their instance

    def trace_headers(self, contexts: Iterable[TraceContext]) -> dict[str, str]:
        return {}

    def release(self) -> None:
        """Nothing is held here."""

    def receive(self, port: str) -> Any:
        raise only_in_run("receive", self.component.name)

    def receive_all(self, port: str) -> Iterator[Any]:
        raise only_in_run("receive_all", self.component.name)

    def yield_ctrl(self) -> None:
        raise only_in_run("yield_ctrl", self.component.name)

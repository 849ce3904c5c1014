"""Context that the scheduler gives a running component, and the log of a component, which names the packet in progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar

from pypes.core.trace_context import TraceContext
from pypes.packet import Packet

T = TypeVar("T")


class Context(Protocol):
    """The scheduler's services for a component in its turn; a component reaches them through its own methods."""

    def receive(self, port: str) -> Any: ...
    def receive_all(self, port: str) -> Iterator[Any]: ...
    def send(self, port: str, data: Any) -> bool: ...
    def yield_ctrl(self) -> None: ...
    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T: ...
    def release(self) -> None: ...
    def keep(self, packet: Any) -> None: ...
    def is_connected(self, port: str) -> bool: ...
    def current(self) -> Any: ...
    def in_work(self) -> Sequence[Any]: ...
    def upcoming(self, count: int) -> Sequence[Any]: ...
    def trace_contexts(self, packets: Iterable[Any] | None) -> tuple[TraceContext, ...]: ...
    def trace_headers(self, contexts: Iterable[TraceContext]) -> dict[str, str]: ...


class Running(Protocol):
    """The attributes of a component that its log needs."""

    name: str
    graph_name: str
    _run_context: Context | None


#: Receipts that a line names at most, and packets that are asked for theirs.
MAX_RECEIPTS, MAX_ASKED = 10, 256


class FilterLog(logging.LoggerAdapter[logging.Logger]):
    """A component's ``log``: every line says which graph and filter it is about, and the delivery by its ``receipt``.

    Of one packet the line has ``packet_id`` and ``packet_filename``, too. Of several it has the receipts of some, as a list.
    """

    def __init__(self, component: Running) -> None:
        super().__init__(logging.getLogger(f"pypes.component.{type(component).__name__}"), {})
        self._component = component

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        component = self._component
        bound: dict[str, Any] = {"graph": component.graph_name, "filter": component.name}
        packets = component._run_context.in_work() if component._run_context is not None else ()
        if len(packets) == 1:
            for key, name in (("receipt", "receipt"), ("packet_id", "id"), ("packet_filename", "filename")):
                value = _meta(packets[0], name)
                if isinstance(value, str | int):
                    bound[key] = value
        elif receipts := receipts_of(packets):
            bound["receipt"] = receipts if len(receipts) > 1 else receipts[0]
        kwargs["extra"] = {**bound, **(kwargs.get("extra") or {})}
        return msg, kwargs


def receipts_of(packets: Sequence[Any]) -> list[str]:
    """The receipts of the deliveries that packets came with, as far as they are known, and at most :data:`MAX_RECEIPTS`."""
    found: dict[str, None] = {}
    for packet in packets[:MAX_ASKED]:
        receipt = _meta(packet, "receipt")
        if isinstance(receipt, str):
            found[receipt] = None
            if len(found) == MAX_RECEIPTS:
                break
    return list(found)


def _meta(packet: Any, name: str) -> Any:
    return packet.get_meta(name) if isinstance(packet, Packet) else None

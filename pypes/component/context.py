"""Context that the scheduler gives a running component, and the log of a component, which names the packet in progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar

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
    def upcoming(self, count: int) -> Sequence[Any]: ...


class Running(Protocol):
    """The attributes of a component that its log needs."""

    name: str
    graph_name: str
    _run_context: Context | None


class FilterLog(logging.LoggerAdapter[logging.Logger]):
    """A component's ``log``: every line says which graph, filter and document it is about."""

    def __init__(self, component: Running) -> None:
        super().__init__(logging.getLogger(f"pypes.component.{type(component).__name__}"), {})
        self._component = component

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        component = self._component
        bound: dict[str, Any] = {"graph": component.graph_name, "filter": component.name}
        packet = component._run_context.current() if component._run_context is not None else None
        if isinstance(packet, Packet):
            for meta in ("receipt", "id", "filename"):
                value = packet.get_meta(meta)
                if isinstance(value, str | int):
                    bound[f"packet_{meta}"] = value
        kwargs["extra"] = {**bound, **(kwargs.get("extra") or {})}
        return msg, kwargs

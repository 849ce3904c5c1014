"""The process of an isolated component: ``python -m pypes.placement.child FD PARENT`` (see :mod:`pypes.placement.frames`).

It takes one packet after the other until the socket ends, and dies with its parent.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from pypes import logs
from pypes.component import ERROR_PORT, Component
from pypes.core.raised import Raised
from pypes.core.returned import fault_of, packets_of, unrun
from pypes.core.secrets import Secrets
from pypes.core.shown import REASON_CHARS, Clean, bounded, shown, trace_of
from pypes.core.unreachable import is_unreachable
from pypes.errors import ComponentError, Reject
from pypes.placement import frames
from pypes.placement.channel import Channel
from pypes.placement.first_steps import begin, confine, leave
from pypes.placement.pool_frames import STANDARD
from pypes.registry.loading import resolve

T = TypeVar("T")


def main() -> None:
    """Never returns."""
    channel = Channel(begin(), sys.maxsize)
    first = channel.read()
    if first is None:
        os._exit(0)
    order = msgspec.msgpack.decode(first[1], type=frames.Order)
    confine(order.max_bytes)
    secrets = Secrets(order.secrets)
    says = Says(channel, secrets)
    logging.getLogger().handlers[:] = [Forward(says)]
    logging.getLogger().setLevel(order.log_level)
    logs.catch_uncaught()
    status = 0
    component: Component | None = None
    try:
        component = _made(order, secrets)
        context = component._run_context = ChildContext(component, frozenset(order.connected), says)
        fault = unrun(component.setup(), "setup")  # type: ignore[func-returns-value]
        if fault is not None:
            raise fault
    except BaseException as error:
        says.failure(frames.FAILED, error)
        status = 1
    else:
        # what set-up left will not be collected: spare the collector from looking at it
        gc.collect()
        gc.freeze()
        says.plain(frames.READY, None)
        context.run(channel)
    if component is not None:
        with contextlib.suppress(OSError):  # the instance does not listen any more
            _tear_down(component)
    leave(status)


def _made(order: frames.Order, secrets: Secrets) -> Component:
    found = resolve(order.module, order.attr)
    if not (isinstance(found, type) and issubclass(found, Component)):
        raise ComponentError(f"{order.module}:{order.attr} is no component class", code="component.broken", where=order.name)
    component = found()
    component.configure(order.params)
    component.name = order.name
    component.graph_name = order.graph
    component.data_dir = order.data_dir
    component.secrets = secrets
    return component


def _tear_down(component: Component) -> None:
    try:
        component.teardown()
    except BaseException:
        component.log.exception("teardown failed")
    component._shares.give_back_all()


class Says:
    """Sends messages of the child to the instance, from any of its threads."""

    def __init__(self, channel: Channel, secrets: Secrets) -> None:
        self._secrets = secrets
        self.values = frames.ChildValues()
        self._channel = channel
        self._lock = threading.RLock()

    def plain(self, kind: int, message: Any) -> None:
        payload = msgspec.msgpack.encode(message)
        with self._lock:
            self._channel.write(kind, payload)

    def done(self, result: Any) -> None:
        with self._lock:
            self._channel.write(frames.DONE, self.values.encode(result))

    def sent(self, port: str, value: Any) -> None:
        with self._lock:
            self._channel.keep(frames.SENT, self.values.encode(value, port))

    def failure(self, kind: int, error: BaseException) -> None:
        try:
            failure = _failure(error, self._secrets.redact, is_over_packet=kind == frames.RAISED)
        except MemoryError:
            failure = frames.Failure("MemoryError", "", "", is_exhausted=True)
        self.plain(kind, failure)


def _failure(error: BaseException, clean: Clean, *, is_over_packet: bool = True) -> frames.Failure:
    name = bounded(type(error).__name__, REASON_CHARS)
    with contextlib.suppress(BaseException):  # a class may have its own idea of attributes
        error = error.with_traceback(_own_part(error))
    trace = trace_of(error, clean)
    steers, code, reason, delay_s = Raised.of(error, clean)
    if steers:
        return frames.Failure(name, reason, trace, steers, code, delay_s or 0.0)
    if is_over_packet and is_unreachable(error):  # the instance gets no class by which it could tell
        return frames.Failure(name, reason, trace, "Unreachable", "retry.exhausted")
    return frames.Failure(name, shown(error, clean, named=False), trace, is_exhausted=isinstance(error, MemoryError))


def _own_part(error: BaseException) -> Any:
    """The traceback from the component on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


class Forward(logging.Handler):
    """Hands every line that is logged here to the instance, where the others are written."""

    def __init__(self, says: Says) -> None:
        super().__init__()
        self._says = says

    def emit(self, record: logging.LogRecord) -> None:
        extra = {key: value for key, value in vars(record).items() if key not in STANDARD}
        if record.exc_info:
            extra["exception"] = logs.trace_of(record)
        message = record.getMessage()
        try:
            self._says.plain(frames.LOG, frames.Line(record.levelno, record.name, message, extra))
        except TypeError:  # a value that msgpack has no words for
            shown = {key: repr(value) for key, value in extra.items()}
            self._says.plain(frames.LOG, frames.Line(record.levelno, record.name, message, shown))


class ChildContext:
    """The scheduler's part, as far as there is one here: the component finds its ports connected and its packets sent."""

    def __init__(self, component: Component, connected: frozenset[str], says: Says) -> None:
        self._component = component
        self._connected = connected
        self._says = says
        self._packet: Any = None

    def run(self, channel: Channel) -> None:
        """Process packets until there will be no more."""
        values = self._says.values
        process = self._component.process
        if self._component.process_batch is not None:
            process = self._process_batch
        while (payload := self._next(channel)) is not None:
            values.bodies = []
            packet: Any = None
            try:
                packet = self._packet = values.value(values.decode(payload))
                del payload
                result = process(packet)
                fault = fault_of(result, packet)
                if fault is not None:
                    raise fault
                self._says.done(result)
            except frames.Unspeakable as error:
                self._says.failure(
                    frames.RAISED,
                    Reject(f"a packet that the component made cannot be sent to the instance: {error}", "isolated.value"),
                )
            except BaseException as error:  # also SystemExit, and what native code derives from BaseException itself
                self._says.failure(frames.RAISED, error)
            self._packet = packet = None

    def _next(self, channel: Channel) -> bytes | bytearray | None:
        try:
            frame = channel.read()
        except MemoryError as error:
            self._says.failure(frames.RAISED, error)
            return None  # a part of it was read: there is no telling where the next one begins
        return None if frame is None else frame[1]

    def _process_batch(self, packet: Any) -> None:
        assert self._component.process_batch is not None
        for result in packets_of(self._component.process_batch([packet]), "process_batch"):
            fault = fault_of(result, packet, "process_batch")
            if fault is not None:
                raise fault
            if result is not None:
                self.send("out", result)

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
        self._says.sent(port, data)
        return True

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return fn(*args, **kwargs)  # nothing else runs here that could go on meanwhile

    def is_connected(self, port: str) -> bool:
        return port in self._connected

    def current(self) -> Any:
        return self._packet

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


if __name__ == "__main__":
    main()

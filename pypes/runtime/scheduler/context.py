"""The context of a component in a running graph: the calls that it may make in its turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from pypes.component import ERROR_PORT
from pypes.component.misuse import no_port, only_in_run
from pypes.core.trace_context import TraceContext
from pypes.errors import ComponentError
from pypes.runtime.scheduler.carrying import contexts_of, fields_for
from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.holding import Holding
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.provenance import Provenance

T = TypeVar("T")


class FilterContext(Filter):
    """A filter as its component knows it (:class:`pypes.component.context.Context`).

    These are the answers where a style of component has no better one.
    """

    __slots__ = ("holding", "provenance")

    holding: Holding | None
    #: Marks the fields that it sets, if that is wanted.
    provenance: Provenance | None

    def is_connected(self, port: str) -> bool:
        return bool(self.outs.get(port)) or bool(self.inputs.get(port))

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return self.core.offload(self, fn, args, kwargs)

    def wait_for(self, future: Future[T]) -> T:
        """Park the filter until a future is done, which no call of :meth:`offload` makes; only for stand-ins of components."""
        return self.core.wait_for(self, future)

    def release(self) -> None:
        """Let what the component held so far go with what it has sent, at the end of the packet or turn."""
        if self.holding is not None:
            self.holding.release_asked = True

    def keep(self, packet: Any) -> None:
        raise ComponentError(
            "keep belongs to process() and process_batch() of components that hold nothing: only there it is known that nothing "
            "of the packet goes on",
            code="component.style",
            where=self.name,
        )

    def keep_behind(self, epoch: Epoch, lineages: Sequence[Lineage]) -> None:
        """Nothing of these documents goes on, and what is behind this filter is not to be told of them."""
        for trace in epoch.traces:
            trace.kept(epoch, self.name, lineages)
        for root, documents in epoch.roots(lineages):
            if root.completions is not None:
                root.completions.keep(documents, self.reach & ~self.bit)

    def current(self) -> Any:
        """The packet that is worked on, ``None`` if there is none or it is one of many."""
        return None

    def in_work(self) -> Sequence[Any]:
        """The packets that are worked on: the current one, or all of a batch."""
        current = self.current()
        return () if current is None else (current,)

    def upcoming(self, count: int) -> Sequence[Any]:
        """The packets that are worked on next in this turn, as far as they are known, at most so many."""
        return ()

    def trace_contexts(self, packets: Iterable[Any] | None) -> tuple[TraceContext, ...]:
        """The traces that packets belong to, those in work if none are given."""
        carried = self.core.carried
        return contexts_of(carried, self.name, self.in_work() if packets is None else packets) if carried else ()

    def trace_headers(self, contexts: Iterable[TraceContext]) -> dict[str, str]:
        """The header fields of a request for these traces."""
        return fields_for(contexts, self.name)

    def receive(self, port: str) -> Any:
        raise only_in_run("receive", self.name)

    def receive_all(self, port: str) -> Iterator[Any]:
        raise only_in_run("receive_all", self.name)

    def yield_ctrl(self) -> None:
        raise only_in_run("yield_ctrl", self.name)

    def send(self, port: str, data: Any) -> bool:
        raise NotImplementedError

    def unwired(self, port: str) -> bool:
        """``send`` to a port without a wire: False for a port that exists, an error for one that does not."""
        if port != ERROR_PORT and not self.component.has_port(port):
            raise no_port(self.component, port)
        return False

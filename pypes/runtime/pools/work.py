"""The work of a pool worker: components of one or several filters, set up once, which get one packet after the other."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pypes import logs
from pypes.component import Component
from pypes.core.returned import unrun
from pypes.core.secrets import Secrets
from pypes.core.shown import shown
from pypes.core.unreachable import is_unreachable
from pypes.errors import ComponentError, PypesError, Unreachable
from pypes.graph.spec import ComponentSpec
from pypes.placement.pool_frames import STANDARD
from pypes.placement.retold import Told, told
from pypes.placement.worker_context import WorkerContext
from pypes.runtime.making import Site


class Answer(NamedTuple):
    """Outcome of the work on one packet. ``is_own`` says of a value that it is the packet itself.

    ``sent`` holds port, ``is_own`` and value; ``result`` is what ``process`` returned. ``own`` is the packet as it is then, if it
    goes on itself. ``counts`` is what was counted meanwhile; an error over which something was counted is a ``failure``, since an
    error that is raised takes nothing along.
    """

    sent: list[tuple[str, bool, Any]]
    is_own: bool
    result: Any
    own: Any
    is_kept: bool
    counts: dict[str, int] = {}
    failure: Told | BaseException | None = None


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
    """Work on items ``(number of the filter, packet)``; results are :data:`Answer`."""

    def __init__(self, filters: Sequence[ToSetUp], site: Site, *, is_own_process: bool) -> None:
        self._filters = filters
        self._site = site
        self._is_own_process = is_own_process
        self._contexts: list[PoolContext] = []

    def setup(self) -> None:
        """Set the components up, in their order. Raises ``ComponentError`` that names graph and filter."""
        if self._is_own_process:
            for handler in logging.getLogger().handlers:
                handler.addFilter(_Redacting(self._site.secrets))
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
            context = PoolContext(component, frozenset(filter.connected))
            component._run_context = context
            self._contexts.append(context)
            fault = unrun(component.setup(), "setup")  # type: ignore[func-returns-value]
            if fault is not None:
                raise fault
        except BaseException as error:
            message = clean(error.message) if isinstance(error, PypesError) else f"set-up failed: {shown(error, clean)}"
            raise ComponentError(message, code="graph.setup_failed", where=f"{filter.graph}.{filter.name}") from error

    def run(self, item: tuple[int, Any]) -> Answer:
        number, packet = item
        context = self._contexts[number]
        try:
            try:
                answer = context.process(packet)
            except MemoryError:
                raise
            except Exception as error:
                if self._is_own_process and not _is_known(error) and is_unreachable(error):
                    raise Unreachable(0.0, shown(error, self._site.secrets.redact)) from error
                raise
        except MemoryError:
            raise
        except Exception as error:
            if counts := context.component._counts.take():
                return Answer([], False, None, None, False, counts, told(error) if self._is_own_process else error)
            raise
        counts = context.component._counts.take()
        return answer._replace(counts=counts) if counts else answer

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
    """Gathers what a component sends for the answer."""

    def __init__(self, component: Component, connected: frozenset[str]) -> None:
        super().__init__(component, connected)
        self._gathered: list[tuple[str, bool, Any]] = []
        self._is_kept = False

    def process(self, packet: Any) -> Answer:
        """Have the component work on a packet. Raises what it raises."""
        self._gathered, self._is_kept = [], False
        try:
            result = self.work_on(packet)
            is_own = result is packet
            goes_on = is_own or any(each[1] for each in self._gathered)
            return Answer(self._gathered, is_own, None if is_own else result, packet if goes_on else None, self._is_kept)
        finally:
            self._gathered = []

    def _sent(self, port: str, data: Any) -> None:
        is_own = data is self._packet
        self._gathered.append((port, is_own, None if is_own else data))

    def keep(self, packet: Any) -> None:
        self._is_kept = True


class _Redacting(logging.Filter):
    """Takes secrets out of lines before they leave the process: whoever gets them may not know these."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        secrets = self._secrets
        if record.exc_info:
            record.exception = secrets.redact(logs.trace_of(record))
            record.exc_info = None
        record.msg, record.args = secrets.redact(record.getMessage()), None
        for key, value in list(vars(record).items()):
            if key not in STANDARD:
                setattr(record, key, secrets.redacted(value))
        return True

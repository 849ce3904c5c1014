"""Component: the contract that third parties program against, in both of its styles.

The easy style: a ``Params`` class, ``setup`` and ``process``::

    class Lowercase(Transformer):
        class Params(Parameters):
            fields: Annotated[list[str], Help("Fields to lower-case.")] = ["title"]

        def process(self, packet):
            for name in self.params.fields:
                packet.set(name, packet.get(name, "").lower())
            return packet

The original style (Pypes 2010-2014): ``set_parameter`` and ports in ``__init__``, and a ``run`` loop that
receives, sends and yields. Both run on the same scheduler; ``process`` is the easy form of the loop that
:meth:`Component.run` shows.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from types import ModuleType
from typing import Any, ClassVar, Protocol, TypeVar

from pypes.core.configured import Configured
from pypes.core.parameters import convert
from pypes.core.paths import Paths
from pypes.core.secrets import Secrets
from pypes.errors import ComponentError
from pypes.packet import Packet

T = TypeVar("T")

#: Kinds by the name the REST interface uses (``GET /filters?node=Publishers``); values are ``__metatype__``.
KINDS: Mapping[str, str] = {
    "Adapters": "ADAPTER",
    "Filters": "FILTER",
    "Transformers": "TRANSFORMER",
    "Extractors": "EXTRACTOR",
    "Operators": "OPERATOR",
    "Publishers": "PUBLISHER",
}

ERROR_PORT = "error"

#: What a turn of a component with several wired inputs may see; see :attr:`Component.joins`.
JOINS = ("document", "wave")


class Turn(Protocol):
    """What the scheduler lends a component while it runs; a component reaches it through its own methods."""

    def receive(self, port: str) -> Any: ...
    def receive_all(self, port: str) -> Iterator[Any]: ...
    def send(self, port: str, data: Any) -> bool: ...
    def yield_ctrl(self) -> None: ...
    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T: ...
    def release(self) -> None: ...
    def is_connected(self, port: str) -> bool: ...
    def current(self) -> Any: ...
    def upcoming(self, count: int) -> Sequence[Any]: ...


class FilterLog(logging.LoggerAdapter[logging.Logger]):
    """A component's ``log``: every line says which graph, filter and document it is about."""

    def __init__(self, component: Component) -> None:
        super().__init__(logging.getLogger(f"pypes.component.{type(component).__name__}"), {})
        self._component = component

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        component = self._component
        bound: dict[str, Any] = {"graph": component.graph_name, "filter": component.name}
        packet = component._turn.current() if component._turn is not None else None
        if isinstance(packet, Packet):
            for meta in ("receipt", "id", "filename"):
                value = packet.get_meta(meta)
                if isinstance(value, str | int):
                    bound[f"packet_{meta}"] = value
        kwargs["extra"] = {**bound, **(kwargs.get("extra") or {})}
        return msg, kwargs


class Component(Configured):
    """A black box with named input and output ports and parameters; configured, it is a filter of a graph.

    Life of an instance, all in one thread of one process: ``__init__`` → parameters set → ``setup`` →
    any number of turns (``process`` / ``process_batch`` / ``run``, and ``flush``) → ``teardown``.
    One instance is never used by two threads or two graphs at once.
    """

    __metatype__: ClassVar[str | None] = None

    #: Port name → one-line description. The ``error`` output is there without being listed: wired, it takes
    #: packets that failed (instead of the dead letters).
    inputs: ClassVar[Mapping[str, str]] = {"in": "Default input port"}
    outputs: ClassVar[Mapping[str, str]] = {"out": "Default output port"}

    #: True for a component that keeps packets beyond its turn (batches, windows). What it holds is acknowledged
    #: only after it was sent on: the runtime calls :meth:`flush` when ``max_hold_s`` has passed since the first
    #: packet was taken, when nothing more can come in until something is let go, and at drain.
    holds: ClassVar[bool] = False
    max_hold_s: float = 1.0

    #: What a turn sees where several input ports are wired: ``document``, all that came of one document, as soon as nothing more
    #: of it can come; ``wave``, all documents that are ready then, for a component that can tell them apart.
    joins: ClassVar[str] = "document"

    #: How often a packet that raises ``Retry`` is tried in all, before it is dead-lettered; a filter's
    #: ``max_attempts`` in the graph goes before.
    max_attempts: int = 5

    #: Longest work on one packet (or batch), in seconds, before the packet counts as one that hangs its filter; ``None``: as the
    #: node's limit ``filter_s`` says. A filter's ``timeout_s`` in the graph goes before.
    timeout_s: float | None = None

    #: True for a component that must not be trusted with its process (readers in native code): it runs in one of its own
    #: with bounded memory, which is killed when a packet takes too long.
    isolated: ClassVar[bool] = False

    #: Where relative paths in parameters begin: the node's data directory, or the working directory without a node.
    data_dir: str = "."
    #: Where paths in parameters may lead; a component that follows links asks it (``paths.problem``).
    paths: Paths = Paths()
    #: What the ``${NAME}`` in parameters stand for. The node takes it out of logs, errors and tracebacks; what a component makes
    #: of its parameters for others to read (metadata, messages to elsewhere) it passes through ``secrets.redact``.
    secrets: Secrets

    _turn: Turn | None = None

    def __init__(self) -> None:
        self._inputs: dict[str, str | None] = dict(type(self).inputs)
        self._outputs: dict[str, str | None] = dict(type(self).outputs)
        self._parameters: dict[str, list[Any]] = {}
        #: Its name as a filter, and that of its graph; the class's own name until it is in one.
        self.name = type(self).__name__
        self.graph_name = ""
        self.log = FilterLog(self)
        self.secrets = Secrets()
        params, problems = convert(self.Params, {})
        # required parameters come with `configure`; until then there is nothing to read
        self.params = params if not problems else None

    # -- the life of a component: override what is needed ------------------------------------------------

    def setup(self) -> None:
        """Load models, open clients. Once per process, before the first packet; may be slow, may raise."""

    def process(self, packet: Any) -> Any:
        """Work on one packet: return it (or another), ``None`` to drop it, or ``send`` any number of packets.

        Must not block for long (use :meth:`offload`). An exception dead-letters this packet only.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither process, process_batch nor run")

    #: Override instead of ``process`` where a batch costs less than its packets: takes a list (never empty, at most
    #: one wave), returns an iterable of what goes on, one or none per packet or any number. When it raises, the packets
    #: are tried again one by one, so that only the guilty one is dead-lettered: work that a batch did
    #: before it raised must be undone (a transaction) or harmless to repeat.
    process_batch: Callable[[list[Any]], Iterable[Any] | None] | None = None

    #: Override to take new parameters while the graph runs, without being set up again: called between two turns with the new
    #: parameters, which :attr:`params` is by then. When it raises, the change is given up. Without it, a change of
    #: parameters starts new instances, where ``setup`` runs as ever.
    reconfigure: Callable[[Any], None] | None = None

    def flush(self) -> Iterable[Any] | None:
        """Send or return everything this component holds (``holds = True``); after it, it holds nothing."""
        return None

    def teardown(self) -> None:
        """Close what ``setup`` opened. Called once, after the last turn; also when ``setup`` failed half-way."""

    def snapshot(self) -> Any:
        """State worth carrying to a successor, as plain JSON values; ``None`` if there is none."""
        return None

    def restore(self, state: Any) -> None:
        """Take up what :meth:`snapshot` of a predecessor returned. Called after ``setup``, before the first packet."""

    def run(self) -> None:
        """The loop of the original style. It never returns; this one is what ``process`` stands for."""
        while True:
            for port in self.get_in_ports():
                for packet in self.receive_all(port):
                    result = self.process(packet)
                    if result is not None:
                        self.send("out", result)
            self.yield_ctrl()

    # -- ports ------------------------------------------------------------------------------------------

    def add_input(self, name: str, desc: str | None = None) -> bool:
        """Add an input port; False if there is one of that name."""
        return _add(self._inputs, name, desc)

    def remove_input(self, name: str) -> bool:
        """Remove an input port; False if there is none of that name."""
        return _remove(self._inputs, name)

    def add_output(self, name: str, desc: str | None = None) -> bool:
        """Add an output port; False if there is one of that name."""
        return _add(self._outputs, name, desc)

    def remove_output(self, name: str) -> bool:
        """Remove an output port; False if there is none of that name."""
        return _remove(self._outputs, name)

    def get_in_ports(self) -> list[str]:
        return sorted(self._inputs)

    def get_out_ports(self) -> list[str]:
        """Names of the output ports, sorted, without the implicit ``error``."""
        return sorted(self._outputs)

    def has_port(self, port: str) -> bool:
        return port in self._inputs or port in self._outputs

    def is_connected(self, port: str) -> bool:
        """True if a wire leads to or from ``port`` in the running graph."""
        return self._turn is not None and self._turn.is_connected(port)

    def get_port_description(self, port: str) -> str | None:
        return self._inputs.get(port, self._outputs.get(port))

    def set_port_description(self, port: str, desc: str | None) -> None:
        """Describe a port; nothing happens if there is none of that name (as in the original)."""
        for ports in (self._inputs, self._outputs):
            if port in ports:
                ports[port] = desc
                return

    # -- packets (only while the scheduler runs the component) -------------------------------------------

    def receive(self, port: str) -> Any:
        """Take one packet from an input port, or ``None`` if nothing waits there for this turn."""
        return self._in_turn().receive(port)

    def receive_all(self, port: str) -> Iterator[Any]:
        """Iterate over what waits on an input port. A cursor: what is not taken stays on the wire."""
        return self._in_turn().receive_all(port)

    def send(self, port: str, data: Any) -> bool:
        """Send a packet on; False if no wire leads from ``port``. Parks this component while the wire is full."""
        return self._in_turn().send(port, data)

    def yield_ctrl(self) -> None:
        """End this turn: let the others run; returns when there is something to do again."""
        self._in_turn().yield_ctrl()

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a blocking call in a thread; only this component waits for it. Raises what ``fn`` raises."""
        return self._in_turn().offload(fn, *args, **kwargs)

    def release(self) -> None:
        """Say that nothing taken so far is held any more (``holds = True``): all of it was sent on or dropped."""
        self._in_turn().release()

    def _in_turn(self) -> Turn:
        if self._turn is None:
            raise ComponentError(
                "ports work only while a graph runs the component; use pypes.Pipeline or pypes.testing.run_component",
                code="component.not_running",
                where=self.name,
            )
        return self._turn

    def get_type(self) -> str | None:
        return self.__metatype__

    @classmethod
    def is_original_style(cls) -> bool:
        """True if the class brings its own ``run`` loop."""
        return cls.run is not Component.run


def _add(ports: dict[str, str | None], name: str, desc: str | None) -> bool:
    if name in ports:
        return False
    ports[name] = desc
    return True


def _remove(ports: dict[str, str | None], name: str) -> bool:
    if name not in ports:
        return False
    del ports[name]
    return True


class Adapter(Component):
    """Turns what was posted into packets: bytes in field ``data`` become fields."""

    __metatype__ = "ADAPTER"
    #: Media types it reads, most specific match wins: ``text/html``, ``text/*``, ``*/*``.
    accepts: ClassVar[tuple[str, ...]] = ("*/*",)

    #: Override to fetch documents by oneself, when the graph is triggered: takes the cursor (what was last yielded, ``None`` the
    #: first time) and yields pairs of packets and the cursor behind them, a JSON value. When ``yield`` returns, the pair is
    #: stored, packets and cursor in one transaction: then the next is fetched, and only then may the origin be told. What was
    #: yielded comes to ``process`` later, in any instance. Runs in a thread of its own beside ``process``, in one instance at a
    #: time; may block, and needs time limits of its own. Must not use the ports. If it raises, the run ends, and the next
    #: begins at the stored cursor.
    fetch: Callable[[Any], Iterator[tuple[list[Packet], Any]]] | None = None

    #: True while ``fetch`` runs for a trigger that confirmed deletions. Unless it is, a source that would delete so much that it
    #: may be a mistake raises ``ComponentError`` with code ``source.too_many_deletions`` instead.
    is_confirmed: bool = False

    #: Bytes that the packets of one pair may have as JSON (``limits.json_bytes`` of the node); more of them end the run.
    fetched_bytes: int = 64 * 1024 * 1024


class Source(Adapter):
    """Fetches documents by itself (see :attr:`Adapter.fetch`), and takes none that are posted."""

    accepts: ClassVar[tuple[str, ...]] = ()

    def process(self, packet: Any) -> Any:
        """Pass on what was fetched."""
        return packet


class Filter(Component):
    """Lets packets pass, or drops them."""

    __metatype__ = "FILTER"


class Transformer(Component):
    """Changes packets."""

    __metatype__ = "TRANSFORMER"


class Extractor(Component):
    """Finds things in packets and adds them as fields."""

    __metatype__ = "EXTRACTOR"


class Operator(Component):
    """Routes, splits, merges packets."""

    __metatype__ = "OPERATOR"


class Publisher(Component):
    """Hands packets to the outside world. What it took in a turn counts as published when :meth:`commit` returns.

    Where its destination cannot be reached (see :class:`pypes.Unreachable`), over packets or in ``commit``, nothing is wrong
    with the packets: they stay with it, in their order, and it is given them again when it has rested.
    """

    __metatype__ = "PUBLISHER"
    outputs: ClassVar[Mapping[str, str]] = {}

    #: ``always | interval | never``: what the node was told; a publisher to local files syncs accordingly.
    durability: str = "always"

    def commit(self) -> None:
        """Make everything taken since the last commit durable; once per turn. Raising fails all of those packets."""


def kind_of(component: Component | type[Component]) -> str:
    """What kind a component is, ``PUBLISHER`` for example; empty if it does not say.

    Components of the original style say so in ``__metatype__`` only. Whatever asks for the kind asks here.
    """
    declared = component.__metatype__ if isinstance(component, type) else component.get_type()
    cls = component if isinstance(component, type) else type(component)
    if issubclass(cls, Publisher):
        return "PUBLISHER"  # whatever else it says, it is to be committed
    return declared.upper() if isinstance(declared, str) else ""


def is_publisher(component: Component | type[Component]) -> bool:
    return kind_of(component) == "PUBLISHER"


class _CallableModule(ModuleType):
    """``from pypes import component`` means the decorator, and gives this module once it is imported: so it can be called."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from pypes.function import component

        return component(*args, **options)


sys.modules[__name__].__class__ = _CallableModule

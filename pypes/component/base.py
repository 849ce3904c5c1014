"""The base of all components: the contract that third parties program against.

The easy style, with which to write new ones: a ``Params`` class, ``setup`` and ``process``::

    class Lowercase(Transformer):
        class Params(Parameters):
            fields: Annotated[list[str], Help("Fields to lower-case.")] = ["title"]

        def process(self, packet):
            for name in self.params.fields:
                packet.set(name, packet.get(name, "").lower())
            return packet

The original style (Pypes 2010-2014) is :mod:`pypes.component.original`; both run on the same scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, ParamSpec, Self, TypeVar, overload

from pypes.component.context import FilterLog
from pypes.component.counts import Counts
from pypes.component.example import Example
from pypes.component.misuse import fault_of_keywords
from pypes.component.original import OriginalStyle
from pypes.component.parameters import convert, schema_of
from pypes.component.placed import Placed
from pypes.component.shared import Shares
from pypes.component.store import MOST_ENTRIES, MemoryStores, Store, Stores
from pypes.core.identity import Completed
from pypes.core.paths import Paths
from pypes.core.secrets import Secrets
from pypes.core.trace_context import TraceContext
from pypes.errors import InvalidComponent, InvalidInput, Problem

T = TypeVar("T")
P = ParamSpec("P")

ERROR_PORT = "error"

_NOTHING = object()

#: The choices for what a turn of a component with several wired inputs sees; see :attr:`Component.joins`.
JOINS = ("document", "wave")


class Component(OriginalStyle):
    """A black box with named input and output ports and parameters; configured, it is a filter of a graph.

    Life of an instance, all in one thread of one process: ``__init__`` → parameters set → ``setup`` →
    any number of turns (``process`` / ``process_batch`` / ``run``, and ``flush``) → ``teardown``.
    One instance is never used by two threads or two graphs at once.
    """

    #: Port name → one-line description. The ``error`` output is there without being listed: wired, it takes
    #: packets that failed (instead of the dead letters).
    inputs: ClassVar[Mapping[str, str]] = {"in": "Default input port"}
    outputs: ClassVar[Mapping[str, str]] = {"out": "Default output port"}

    #: True for a component that keeps packets beyond its turn (batches, windows). What it holds is acknowledged
    #: only after it was sent on: the runtime calls :meth:`flush` when ``max_hold_s`` has passed since the first
    #: packet was taken, when nothing more can come in until something is let go, and at drain.
    holds: ClassVar[bool] = False
    max_hold_s: float = 1.0

    #: The packets of a turn where several input ports are wired: ``document``, all of one document, as soon as nothing more
    #: of it can come; ``wave``, all documents that are ready then, for a component that can tell them apart.
    joins: ClassVar[str] = "document"

    #: Attempts in all for a packet that raises ``Retry``, before it is dead-lettered; a filter's
    #: ``max_attempts`` in the graph goes before.
    max_attempts: int = 5

    #: Longest work on one packet (or batch), in seconds, before the packet counts as one that hangs its filter; ``None``: as the
    #: node's limit ``filter_s`` says. A filter's ``timeout_s`` in the graph goes before.
    timeout_s: float | None = None

    #: Bounds of one call of :attr:`process_batch`; options of the same names of a filter in the graph go before. At most
    #: ``batch_size`` packets (``None``: as many as wait), of about ``batch_bytes`` together, as ``Packet.size_bytes`` estimates
    #: them (a larger packet comes alone; ``None``: of any size); and the first of them waits up to ``batch_s`` seconds for the
    #: others, whichever deliveries they belong to. Nothing waits while a flush is asked for: at drain, while others wait for
    #: room, where one document runs alone. A filter with several wired inputs gets one document at a time instead.
    batch_size: int | None = None
    batch_bytes: int | None = None
    batch_s: float = 0.0
    #: Override to keep packets apart: those of one call of :attr:`process_batch` have equal keys. A batch ends where the next
    #: packet has another key, so packets keep their order. One whose key cannot be made comes alone. In a pool, the packets of a
    #: stride come together whatever their keys.
    batch_key: Callable[[Any], Any] | None = None

    #: Packets that ``process`` may work on at once: while :meth:`offload` waits for one, the next is begun, so that calls to a
    #: service overlap. ``process`` must be written for that: between two offloaded calls, others of its packets may have run.
    #: Results go on in the order of the packets. Not for publishers, batches, loops, or components that hold packets; a filter
    #: with several wired inputs works on one at a time.
    concurrency: int = 1

    #: True for a component that must not be trusted with its process (readers in native code): it runs in one of its own
    #: with bounded memory, which is killed when a packet takes too long.
    isolated: ClassVar[bool] = False

    #: True for a component that runs programs, or reads or writes files of the server, in another way than by parameters that are
    #: paths. Only clients with the scope ``admin`` may place such a filter in a graph, or one with a path, or change it.
    privileged: ClassVar[bool] = False

    # What the catalogue, the documentation and an editor show beside ports, parameters and the docstring.

    #: Name of an icon, a plain word such as ``file``, ``table`` or ``search``: those of Lucide (https://lucide.dev/icons). Empty,
    #: or unknown to an editor: the icon of the kind.
    icon: ClassVar[str] = ""
    #: Words by which it is found and grouped, in lower case: ``("format", "table")``. Its kind need not be among them.
    tags: ClassVar[tuple[str, ...]] = ()
    #: One worked example, which :class:`pypes.testing.ComponentSuite` runs as a test.
    example: ClassVar[Example | None] = None
    #: Optional libraries that it cannot work without: name of a module → the line that installs it. Import such a module in
    #: ``setup``. While one is not installed, the catalogue lists the component with that line, and a graph with it has a problem
    #: (``component.missing_library``) at lint and deployment, before a packet comes.
    needs: ClassVar[Mapping[str, str]] = {}

    #: The start of relative paths in parameters: the node's data directory, or the working directory without a node.
    data_dir: str = "."
    #: The rules for paths in parameters; a component that follows links asks them (``paths.problem``).
    paths: Paths = Paths()
    #: The values of ``${NAME}`` in parameters. The node takes them out of logs, errors and tracebacks; what a component makes
    #: of its parameters for others to read (metadata, messages to elsewhere) it passes through ``secrets.redact``.
    secrets: Secrets
    #: Digest of this filter and all behind it, for a component with ``conclude``: of their code, parameters, options and wires.
    #: It is another one when any of these is; empty outside of a node.
    behind: str = ""
    #: Names of the metadata that the graph inherits.
    inherits: tuple[str, ...] = ()

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Raises ``InvalidComponent`` for parameters by keyword if the ``__init__`` of the class takes none."""
        if params and (fault := fault_of_keywords(cls, args, params)):
            raise InvalidComponent(fault, code="component.no_keywords", where=cls.__name__)
        return super().__new__(cls)

    def __init__(self, **params: Any) -> None:
        """``params`` are its parameters; raises ``InvalidInput`` for those that are not valid."""
        self._inputs: dict[str, str | None] = dict(type(self).inputs)
        self._outputs: dict[str, str | None] = dict(type(self).outputs)
        self._parameters: dict[str, list[Any]] = {}
        self._expected: dict[str, Iterator[Any]] = {}
        #: Its name as a filter, and that of its graph; the class's own name until it is in one.
        self.name = type(self).__name__
        self.graph_name = ""
        self.log = FilterLog(self)
        self._counts = Counts()
        self._shares = Shares(self)
        self._stores: Stores = MemoryStores()
        self.secrets = Secrets()
        defaults, problems = convert(self.Params, {})
        # required parameters come with `configure`; until then there is nothing to read
        self.params = defaults if not problems else None
        if params:
            self.configure(params)

    @classmethod
    def on(
        cls,
        *,
        processes: int | None = None,
        threads: int | None = None,
        stride: int | None = None,
        timeout_s: float | None = None,
        memory: int | str | None = None,
        **params: Any,
    ) -> Placed:
        """The component with these parameters in a pool of its own, for a pipeline: ``Model.on(processes=2, path="m.bin")``.

        The options are those that pools have in graphs. Its class must be at the top level of a module.
        """
        options = {"processes": processes, "threads": threads, "stride": stride, "timeout_s": timeout_s, "memory": memory}
        return Placed(cls, params, {name: value for name, value in options.items() if value is not None})

    # -- the life of a component: override what is needed ------------------------------------------------

    def setup(self) -> None:
        """Load models, open clients. Once per process, before the first packet; may be slow, may raise."""

    def process(self, packet: Any) -> Any:
        """Work on one packet: return it (or another), ``None`` to drop it, or ``send`` any number of packets.

        Must not block for long (use :meth:`offload`). An exception dead-letters this packet only.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither process, process_batch nor run")

    #: Override instead of ``process`` where a batch costs less than its packets: takes a list (never empty, at most one wave, or
    #: ``batch_size``), returns an iterable of what goes on, one or none per packet or any number. When it raises, the packets
    #: are tried again one by one, so that only the guilty one is dead-lettered: work that a batch did
    #: before it raised must be undone (a transaction) or harmless to repeat.
    process_batch: Callable[[list[Any]], Iterable[Any] | None] | None = None

    #: Override to take new parameters while the graph runs, without being set up again: called between two turns with the new
    #: parameters, which :attr:`params` is by then. When it raises, the change is given up. Without it, a change of
    #: parameters starts new instances, where ``setup`` runs as ever.
    reconfigure: Callable[[Any], None] | None = None

    #: Override to be told that nothing more of some documents comes here in this run; see the component guide. Returns how many
    #: parts of older versions were removed.
    complete: Callable[[list[Completed]], int | None] | None = None

    #: Override to be told that documents are done everywhere in the graph: all that was made of them has ended, whatever
    #: publishers took of it is committed, and those that override ``complete`` were told. The deliveries of the documents are
    #: acknowledged afterwards. ``is_whole``: nothing of the document failed anywhere. Documents without an id are among them,
    #: with an empty one in their identity; their versions tell them apart.
    conclude: Callable[[list[Completed]], None] | None = None

    def flush(self) -> Iterable[Any] | None:
        """Send or return everything this component holds (``holds = True``); after it, it holds nothing."""
        return None

    def teardown(self) -> None:
        """Close what ``setup`` opened. Called once, after the last turn; also when ``setup`` failed half-way."""

    @overload
    def shared(self, make: Callable[P, AbstractContextManager[T, Any]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def shared(self, make: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def shared(self, make: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The result of ``make(*args, **kwargs)``, one object for all components of the process that ask for the same.

        For ``setup`` and ``reconfigure``: clients, connection pools, models. Several components use it, and if they offload,
        several threads at once. It is closed after :meth:`teardown` of the last component that has it: by its ``close()``, or by
        leaving it, if it is a context manager without one (it was entered when it was made). See also :meth:`unshare`.

        Raises what ``make`` raises, and ``ComponentError`` for an argument without a hash that is no list, dict or set.
        """
        return self._shares.take(make, args, kwargs)

    def unshare(self, obj: Any) -> None:
        """Give back an object of :meth:`shared` before ``teardown``, once for each time it was asked for."""
        self._shares.give_back(obj)

    def open_store(self, most: int = MOST_ENTRIES) -> Store:
        """The store of this filter, for ``setup``: entries that all of its instances share and that outlive them.

        It keeps the ``most`` entries that were written last, and is closed after :meth:`teardown`. See
        :mod:`pypes.component.store`.
        """
        return self.shared(self._stores.open, self.graph_name, self.name, type(self).__name__, most)

    # -- parameters -------------------------------------------------------------------------------------

    def configure(self, given: Mapping[str, Any]) -> None:
        """Set the parameters from plain JSON values. Raises ``InvalidInput`` with every problem."""
        known = self._parameters
        declared = {name: value for name, value in given.items() if name not in known}
        params, problems = convert(self.Params, declared)
        for name, value in given.items():
            if name in known:
                options = known[name][1]
                if options and value not in options:
                    problems.append(Problem(name, f"must be one of {options!r}, not {value!r}", "param.invalid"))
        if problems:
            raise InvalidInput("parameters are not valid", code="param.invalid", where=self.name, problems=problems)
        self.params = params
        for name in known.keys() & given.keys():
            self.set_parameter(name, given[name])

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters, those of ``set_parameter`` included."""
        schema = schema_of(self.Params)
        for name, (value, options) in self._parameters.items():
            schema["properties"][name] = {"default": value, **({"enum": options} if options else {})}
        return schema

    # -- packets (while the scheduler runs the component) ------------------------------------------------

    def send(self, port: str, data: Any) -> bool:
        """Send a packet on; False if no wire leads from ``port``. Parks this component while the wire is full.

        Raises ``ComponentError`` (``component.no_port``) if there is no such port, except in the original style.
        """
        try:
            # PERF: most loops send on just what they took, in order; then there is nothing that the scheduler need be told
            if data is next(self._expected[port], _NOTHING):
                return True
        except KeyError:
            pass
        return super().send(port, data)

    def is_connected(self, port: str) -> bool:
        """True if a wire leads to or from ``port`` in the running graph; without one, if an edge was connected to it by hand."""
        if self._run_context is None:
            return port in self._input_edges or port in self._output_edges
        return self._run_context.is_connected(port)

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a blocking call in a thread; only this component waits for it. Raises what ``fn`` raises."""
        return self._get_run_context().offload(fn, *args, **kwargs)

    def release(self) -> None:
        """Say that nothing taken so far is held any more (``holds = True``): all of it was sent on or dropped."""
        self._get_run_context().release()

    def keep(self, packet: Any) -> None:
        """Say that a packet, which is dropped in this turn, leaves its document as it is in all that lies behind this filter.

        Components behind it are not told that the document is complete, so that they remove nothing of it.
        """
        self._get_run_context().keep(packet)

    def trace_headers(self, contexts: Iterable[TraceContext] | None = None) -> dict[str, str]:
        """The header fields ``traceparent`` and ``tracestate`` of a request to a server, for the packets in work; mostly none.

        ``contexts`` are what :meth:`trace_contexts` gave of the packets that the request is for, where those are others. To be
        called in a turn, not in an offloaded call.
        """
        context = self._run_context
        if context is None:
            return {}
        found = context.trace_contexts(None) if contexts is None else contexts
        return context.trace_headers(found) if found else {}

    def trace_contexts(self, packets: Iterable[Any]) -> tuple[TraceContext, ...]:
        """The traces that packets belong to, for requests of a later turn: see :meth:`trace_headers`; mostly none."""
        return () if self._run_context is None else self._run_context.trace_contexts(packets)

    def count(self, name: str, n: int = 1) -> None:
        """Add ``n`` to a total of this filter that whoever runs the graph sees: numbers redacted, pages lost, cache hits.

        The total is that of the filter in all of its instances. Cheap, and allowed everywhere: in ``setup`` and in offloaded
        calls, too. Work that is done again, after a ``Retry`` or a crash, counts again.

        Raises ``ComponentError`` (``component.count``) for a name other than ``[a-z][a-z0-9_]*``, a negative number, and more
        than 100 names.
        """
        self._counts.add(name, n)

    @classmethod
    def is_original_style(cls) -> bool:
        """True if the class brings its own ``run`` loop."""
        return cls.run is not Component.run

    @classmethod
    def is_easy_style(cls) -> bool:
        is_brought = cls.process is not Component.process or cls.process_batch is not None
        return is_brought and not cls.is_original_style()


def is_told(component: Component | type[Component]) -> bool:
    """True for a component that is told what becomes of documents."""
    return component.complete is not None or component.conclude is not None

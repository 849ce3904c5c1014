"""The kinds of components: what each is for, and how the catalogue calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from pypes.component.base import Component
from pypes.packet import Packet

#: Kinds by the name the REST interface uses (``GET /filters?node=Publishers``); values are ``__metatype__``.
KINDS: Mapping[str, str] = {
    "Adapters": "ADAPTER",
    "Filters": "FILTER",
    "Transformers": "TRANSFORMER",
    "Extractors": "EXTRACTOR",
    "Operators": "OPERATOR",
    "Publishers": "PUBLISHER",
}


class Adapter(Component):
    """Turns a posted document into packets: bytes in field ``data`` become fields."""

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
        """Pass on a fetched packet."""
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

    #: Override to be asked by ``GET /search``: takes a :class:`~pypes.component.searching.SearchQuery`, returns JSON values,
    #: ``{"hits", "next", "notes"}``. It is called on a component that has its parameters and is not set up, in a process for
    #: searches; must not write, and must keep to the query's ``timeout_s``.
    search: Callable[[Any], Mapping[str, Any]] | None = None

    #: ``always | interval | never``: what the node was told; a publisher to local files syncs accordingly.
    durability: str = "always"

    def commit(self) -> None:
        """Make everything taken since the last commit durable; once per turn. Raising fails all of those packets."""


def kind_of(component: Component | type[Component]) -> str:
    """The kind of a component, ``PUBLISHER`` for example; empty if the class declares none.

    Components of the original style say so in ``__metatype__`` only. Whatever asks for the kind asks here.
    """
    declared = component.__metatype__ if isinstance(component, type) else component.get_type()
    cls = component if isinstance(component, type) else type(component)
    if issubclass(cls, Publisher):
        return "PUBLISHER"  # whatever else it says, it is to be committed
    return declared.upper() if isinstance(declared, str) else ""


def is_publisher(component: Component | type[Component]) -> bool:
    return kind_of(component) == "PUBLISHER"

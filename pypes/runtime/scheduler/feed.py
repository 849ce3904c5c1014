"""A feed: documents that are pushed into a graph together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pypes.runtime.scheduler.completions import Known
from pypes.runtime.scheduler.tracing import Trace


class _Nothing(dict[str, frozenset[int]]):
    """PERF: one for all feeds, where a factory would make one for each; nobody writes to it."""

    __hash__ = object.__hash__  # type: ignore[assignment]


_NOTHING: Final[Mapping[str, frozenset[int]]] = _Nothing()


class _Barrier:
    def __repr__(self) -> str:
        return "BARRIER"


#: Stands in a feed for a batch where nothing more may be fed until all that was fed is finished.
BARRIER: Final = _Barrier()

#: The filter that takes them, at most a wave of packets, and for each the ordinal (0 to ``documents`` - 1) of its document.
Batch = tuple[str, Sequence[Any], Sequence[int]]


@dataclass(slots=True)
class Feed:
    """Documents to push into a graph together.

    ``batches`` is pulled only as the wires have room, so it may decode lazily. Any filter may be named in it; packets enter at
    its port ``in``, or the first that it has. Documents of a name that the graph does not have fail (``replay.no_filter``).
    ``deliveries`` is the caller's own, untouched here.

    ``committed`` are documents that a publisher has committed in an earlier run: it is not given packets made of nothing
    else, and they count as published. ``complete`` returns an ordinal below which every packet of every document has been
    yielded by now; without it a document counts as complete when each filter that leads to the publisher in question and no wire
    leads to has been fed beyond it. It matters to what is reported as committed while the feed still lasts.

    ``bases`` are the ordinals of the first documents of deliveries that are fed together.

    ``identities`` has the documents that have an identity, or where that is wanted all, by ascending ordinals: those that
    components are told of when nothing more of them can come. Whoever decodes puts them in before it yields anything of them;
    those that are complete are taken out.

    ``trace`` keeps what filters do with these documents.
    """

    batches: Iterator[Batch | _Barrier]
    documents: int
    deliveries: Sequence[Any] = ()
    committed: Mapping[str, frozenset[int]] = _NOTHING
    complete: Callable[[], int] | None = None
    bases: Sequence[int] = (0,)
    identities: dict[int, Known] | None = None
    trace: Trace | None = None

"""The ledger: every document that was posted, what it was promised, and in which order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

PUBLISHED, DROPPED, FAILED = "published", "dropped", "failed"


@dataclass(slots=True)
class Document:
    """One document of one POST. ``serial`` is its own, ``id`` may be that of earlier versions, posted by the same client.

    ``fate`` is what must become of it; ``receipt`` is empty as long as it is not acknowledged. ``poison`` is what it does to the
    filter that looks at it. ``runs`` is how often it was meant to be published: once, and once more for each replay.
    """

    serial: str
    id: str
    graph: str
    fate: str = PUBLISHED
    receipt: str = ""
    poison: str = ""
    #: When it was posted, in seconds of the monotonic clock.
    posted_s: float = 0.0
    runs: int = 1
    is_bulk: bool = False
    is_deletion: bool = False


@dataclass(slots=True)
class Ledger:
    """What one client, or all of them, did. Documents are in the order in which they were posted or acknowledged."""

    posted: list[Document] = field(default_factory=list)
    acknowledged: list[Document] = field(default_factory=list)
    #: How often each kind of POST was acknowledged, and each status answered.
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    #: What no server may answer, each with the document it was about.
    violations: list[str] = field(default_factory=list)

    def acknowledge(self, documents: Iterable[Document], receipt: str, kind: str) -> None:
        for document in documents:
            document.receipt = receipt
            self.acknowledged.append(document)
        self.kinds[kind] += 1

    @classmethod
    def of(cls, parts: Iterable[Ledger]) -> Ledger:
        """The ledgers of all clients as one; the order is that within each client."""
        whole = cls()
        for part in parts:
            whole.posted += part.posted
            whole.acknowledged += part.acknowledged
            whole.kinds += part.kinds
            whole.statuses += part.statuses
            whole.violations += part.violations
        return whole

    def by_receipt(self) -> dict[str, list[Document]]:
        """Documents by their receipt, but for the rows of tables, which are no documents to it."""
        found: dict[str, list[Document]] = defaultdict(list)
        for document in self.acknowledged:
            if document.graph != "tables":
                found[document.receipt].append(document)
        return found

    def versions(self) -> Iterator[tuple[str, list[Document]]]:
        """Ids of the ordered graph, each with its acknowledged versions in the order of their acknowledgement."""
        found: dict[str, list[Document]] = defaultdict(list)
        for document in self.acknowledged:
            if document.graph == "ordered":
                found[document.id].append(document)
        yield from found.items()

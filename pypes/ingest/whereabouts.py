"""Whereabouts: the runs of a document of which only its id or the name of its file is known, as they are asked for and told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from pypes.access.client import is_among
from pypes.ingest.accounts import Account, report, report_pending
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId


class DocumentQuery(msgspec.Struct, frozen=True, gc=False):
    """A document: ``text`` is its id (``is_id``), the name of its file (``is_file``), or one of them. An empty ``graph``: any."""

    text: str
    is_id: bool = True
    is_file: bool = True
    graph: str = ""
    #: Only in graphs with these names or patterns; empty: in all.
    among: tuple[str, ...] = ()

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names or patterns of graphs of which all others can be left out; empty: none can."""
        return (self.graph,) if self.graph else self.among

    def has(self, graph: str) -> bool:
        """True for a graph that may be told of."""
        return self.graph in ("", graph) and (not self.among or is_among(graph, self.among))

    def in_finished(self, account: Account, details: Details | None, limit: int) -> list[DocumentReport]:
        """The document in a finished delivery, where it is there; several times if several are known by the same name."""
        if details is None or (self.is_file and details.file == self.text):
            is_it = details is not None or (self.is_id and account.id == self.text)
            return report(account, details, limit, -1) if is_it else []
        places = {0} if self.is_id and account.id == self.text else set()
        for is_wanted, names in ((self.is_id, details.ids), (self.is_file, details.files)):
            if is_wanted and names:
                places.update(index for index, name in names.items() if name == self.text)
        return [one for index in sorted(places)[:limit] for one in report(account, details, 1, index - 1)]

    def in_waiting(self, header: Header, limit: int) -> list[DocumentReport]:
        """The document in a delivery that is not finished, as far as the request named it."""
        id, file, _ = header.named
        is_it = (self.is_id and id == self.text) or (self.is_file and file == self.text)
        return report_pending(header, limit, -1) if is_it else []


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A delivery in which the document is, as its receipt, and the reports of the document there."""

    receipt: Receipt
    documents: list[DocumentReport]


@dataclass(frozen=True, slots=True)
class Looked:
    """The newest deliveries with a document, and how far it was looked for: ``deliveries`` back to the commit ``until``.

    ``until`` is the key of the oldest commit that was looked at, 0 if nothing older is kept; ``since`` its time (RFC 3339), or
    empty.
    """

    found: list[Whereabouts]
    deliveries: int
    until: int
    since: str = ""


def merged(parts: Iterable[Looked]) -> Looked:
    """The findings of several shards, as far back as all of them have looked, the newest first."""
    parts = list(parts)
    until, since = max(((part.until, part.since) for part in parts), default=(0, ""))
    found = [each for part in parts for each in part.found if key_of(each) >= until]
    found.sort(key=lambda each: each.receipt.receipt, reverse=True)
    return Looked(found, sum(part.deliveries for part in parts), until, since)


def key_of(each: Whereabouts) -> int:
    """The key of the commit that a delivery came in."""
    return ReceiptId.parse(each.receipt.receipt).key

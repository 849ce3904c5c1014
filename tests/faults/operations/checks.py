"""Checks: what must hold when everything is over, by the publishers, the receipts and the dead letters."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pypes.testing.node import Node, until
from tests.faults.chaos.checks import pages
from tests.faults.operations.authors import Author
from tests.faults.operations.model import Parts, Splitter, Version, misfit, out_of_order, untrue

DRAIN_S = 180.0
#: Receipts that are asked for afterwards, at most.
RECEIPTS = 1000

#: By graph and publisher, what is seen of each document.
Left = Mapping[tuple[str, str], Mapping[str, Parts]]


def drain(node: Node) -> None:
    """Wait until nothing is queued or processed."""

    def is_idle() -> bool:
        return not any(node.get(f"/receipts?state={state}&limit=1").json()["receipts"] for state in ("queued", "processing"))

    until(is_idle, DRAIN_S, f"drained; the log says:\n{node.log()}")


def learn_of_left_out(node: Node, authors: Iterable[Author]) -> None:
    """Ask for the documents of bulk deliveries in the ordered graph: a newer one may have come before them."""
    for receipt, versions in _by_receipt(authors, is_ordered=True).items():
        if versions[0].is_bulk:
            found = pages(node, f"/receipts/{receipt}/documents?limit=100", "documents")
            left_out = {each["index"] for each in found if each["filter"] == "(superseded)"}
            for version in versions:
                version.is_superseded = version.index in left_out


def misfits(authors: Iterable[Author], left: Left, splitters: Collection[Splitter]) -> Iterator[str]:
    """Documents of which publishers are left with something else than the model says."""
    for (graph, publisher), shelf in left.items():
        unknown = set(shelf)
        for author in authors:
            if author.graph == graph:
                for document in author.documents:
                    unknown.discard(document.id)
                    fault = misfit(document.state(publisher), shelf.get(document.id, {}), splitters)
                    if fault:
                        yield f"{graph}, {publisher}, {document.id}: {fault}"
        for id in unknown:
            yield f"{graph}, {publisher}: nobody posted {id!r}"


def disorder(authors: Iterable[Author]) -> Iterator[str]:
    for author in authors:
        for document in author.documents:
            yield from out_of_order(document)


def untrue_receipts(node: Node, authors: Sequence[Author], rng: random.Random) -> Iterator[str]:
    """Receipts, asked for afterwards, say what became of their documents."""
    certain = {
        receipt: versions
        for is_ordered in (False, True)
        for receipt, versions in _by_receipt(authors, is_ordered=is_ordered).items()
        if not (is_ordered and versions[0].is_bulk)
    }
    for receipt in rng.sample(sorted(certain), min(RECEIPTS, len(certain))):
        answer = node.get(f"/receipts/{receipt}")
        if answer.status == 200:
            yield from untrue(certain[receipt], answer.json())
        else:
            yield f"receipt {receipt}: {answer.status} {answer.data[:200]!r}"


def untrue_letters(node: Node, authors: Iterable[Author]) -> Iterator[str]:
    """Documents that failed in part, and of which nothing was replayed, have one dead letter for each packet that failed."""
    found: Counter[tuple[str, int]] = Counter()
    for letter in pages(node, "/deadletters?limit=500", "deadletters"):
        found[letter["receipt"], letter["document"]["index"] or 0] += 1
    for author in authors:
        for version in (version for document in author.documents for version in document.versions):
            if version.receipt and not version.is_replayed and not version.is_superseded:
                count = found[version.receipt, version.index]
                if count != version.bad:
                    place = f"receipt {version.receipt}/{version.index}"
                    yield f"{count} dead letters of {version.serial}, {place}, not {version.bad}"


def _by_receipt(authors: Iterable[Author], *, is_ordered: bool) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = defaultdict(list)
    for author in authors:
        if (author.graph == "ordered") is is_ordered:
            for version in (version for document in author.documents for version in document.versions):
                if version.receipt:
                    found[version.receipt].append(version)
    return found

"""Checks: what must hold when everything is over, by the publishers, the receipts and the dead letters."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, until
from pypes_basic.log_lines import fold
from tests.faults.chaos.checks import pages
from tests.faults.operations import readers
from tests.faults.operations.authors import TYPES, Author, body_of
from tests.faults.operations.model import INDEX, TABLE, Parts, Splitter, Version, misfit, out_of_order, untrue

DRAIN_S = 180.0
#: Receipts that are asked for afterwards, at most.
RECEIPTS = 1000
#: Documents that are searched for, and those whose log is folded, each up to as many lines, at most.
SEARCHED = 50
FOLDED = 20

_SERIAL = re.compile(r"(?:plain|ordered)\d+v\d+")

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
                if count != version.bad and (count or not version.may_be_held):
                    place = f"receipt {version.receipt}/{version.index}"
                    yield f"{count} dead letters of {version.serial}, {place}, not {version.bad}"


def unlike_hits(path: Path, shelf: Mapping[str, Parts], rng: random.Random) -> Iterator[str]:
    """Documents of which a search in an index does not find the parts that it has, or finds others.

    Of a document that was never whole, parts of several versions may be left: each is found by the serial in it.
    """
    known = sorted(id for id, parts in shelf.items() if parts)
    for id in rng.sample(known, min(SEARCHED, len(known))):
        left: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for part, text in shelf[id].items():
            for serial in _SERIAL.findall(text):
                left[serial].add((id, part))
        assert left, shelf[id]
        for serial, parts in left.items():
            hits = readers.found_in_index(path, serial)
            if hits != parts:
                missing, strange = sorted(parts - hits)[:5], sorted(hits - parts)[:5]
                yield f"a search for {serial} does not find {missing}, or finds {strange}, of {len(parts)} parts of {id}"


def broken_logs(path: Path, authors: Iterable[Author], splitters: Collection[Splitter], rng: random.Random) -> Iterator[str]:
    """Documents of which a log, folded up to some line, has neither the newest version that was whole by then nor nothing of it.

    A log shows afterwards what its readers would have seen at any time.
    """
    documents = {document.id: document for author in authors for document in author.documents}
    sample = rng.sample(sorted(documents), min(FOLDED, len(documents)))
    for id, lines in readers.lines_in_log(path, sample).items():
        known = {(each.receipt, each.index): each for each in documents[id].versions if each.receipt}
        for end in rng.sample(range(len(lines)), min(FOLDED, len(lines))):
            newest = max((_whole_in(line) for line in lines[: end + 1]), default="")
            receipt, _, rest = newest.partition("/")
            version = known.get((receipt, int(rest.partition("/")[0] or 0)))
            if version is None:
                continue
            found = {line["part"]: line["fields"]["text"] for line in fold(lines[: end + 1])}
            if not any(version.parts(each) == found for each in splitters):
                yield f"{id}: {newest} is whole in line {end} of {len(lines)} in {path.name}, but {len(found)} parts are left"


def _whole_in(line: bytes) -> str:
    """The version that a line of a log says to be whole; empty if it says nothing of that."""
    if b'"complete":true' not in line and b'"deleted":true' not in line:
        return ""
    version: str = json.loads(line)["version"]
    return version


def miscounted(node: Node, graph: str) -> Iterator[str]:
    """Receipts that do not say how many parts of older versions were removed, where nothing else goes on."""
    id = f"calm/{graph}"
    for number, (size, removed) in enumerate(((5, {}), (2, {INDEX: 3}), (4, {}), (0, {INDEX: 4}), (3, {}), (None, {INDEX: 3}))):
        url = f"{node.url}/docs/{graph}/{id.replace('/', '%2F')}"
        if size is None:
            answer = node.http.request("DELETE", url)
        else:
            items = tuple(f"row {row} of calm{number}" for row in range(size))
            body = body_of(Version(id, 1, "", TABLE, items))
            answer = node.http.request("PUT", url, body=body, headers={"Content-Type": TYPES[TABLE]})
        receipt = answer.json()["receipt"]
        found = until(partial(_finished, node, receipt), DRAIN_S, f"{receipt} is finished")
        if found["state"] != "done" or (found.get("removed") or {}) != removed:
            yield f"{graph}: a table of {size} rows removes {removed} parts; its receipt says {found}"


def _finished(node: Node, receipt: str) -> dict[str, Any] | None:
    found: dict[str, Any] = node.get(f"/receipts/{receipt}").json()
    return found if found["state"] in ("done", "failed") else None


def _by_receipt(authors: Iterable[Author], *, is_ordered: bool) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = defaultdict(list)
    for author in authors:
        if (author.graph == "ordered") is is_ordered:
            for version in (version for document in author.documents for version in document.versions):
                if version.receipt:
                    found[version.receipt].append(version)
    return found

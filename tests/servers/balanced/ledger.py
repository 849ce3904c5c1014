"""What the clients of a fleet were told, and what the files of its nodes hold of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Post:
    """One request with documents, until it is acknowledged. ``receipt`` is empty until then."""

    ids: list[str]
    route: str = ""
    #: An Idempotency-Key of the client's own: it sends the request again when it has no answer.
    key: str = ""
    is_deletion: bool = False
    #: Larger than what HAProxy can send again.
    is_large: bool = False
    receipt: str = ""
    #: Number of the version that it carries, for documents of the ordered graph.
    version: int = 0


@dataclass(slots=True)
class Ledger:
    """Of one client, or of all: ``acknowledged`` in this order, and ``unknown``, whose answer was lost."""

    acknowledged: list[Post] = field(default_factory=list)
    unknown: list[Post] = field(default_factory=list)
    #: What no client may see: with no node away, anything else than success; and at all times what breaks a promise.
    violations: list[str] = field(default_factory=list)
    #: How often what was answered, and what a client had to do again.
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, parts: Iterable[Ledger]) -> Ledger:
        whole = cls()
        for part in parts:
            whole.acknowledged += part.acknowledged
            whole.unknown += part.unknown
            whole.violations += part.violations
            whole.counts += part.counts
        return whole


def lines_of(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The lines of JSONLines in form ``log``; one that a kill tore is run again."""
    for path in paths:
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if "complete" not in found:
                yield found


def receipt_of(line: dict[str, Any]) -> str:
    return str(line["version"]).partition("/")[0]


def troubles(ledger: Ledger, plain: list[Path], ordered: list[Path]) -> list[str]:
    """What is lost, doubled or out of order, by the files of all nodes."""
    found = [*ledger.violations]
    taken: dict[str, set[str]] = defaultdict(set)
    for line in lines_of([*plain, *ordered]):
        taken[line["document"]].add(receipt_of(line))
    for post in ledger.acknowledged:
        for each in post.ids:
            if post.receipt not in taken[each]:
                found.append(f"lost: {each} of {post}")
    promised: dict[str, set[str]] = defaultdict(set)
    for post in ledger.acknowledged:
        for each in post.ids:
            promised[each].add(post.receipt)
    perhaps = {each for post in ledger.unknown for each in post.ids}
    for each, receipts in taken.items():
        if receipts - promised[each] and each not in perhaps:
            found.append(f"accepted twice: {each}, {receipts - promised[each]} beside {promised[each]}")
    found += disorder(ledger, ordered)
    return found


def disorder(ledger: Ledger, ordered: list[Path]) -> list[str]:
    """Documents of the ordered graph whose versions came in another order than they were acknowledged in."""
    acknowledged: dict[str, list[int]] = defaultdict(list)
    for post in ledger.acknowledged:
        if post.version:
            acknowledged[post.ids[0]].append(post.version)
    published: dict[str, list[int]] = defaultdict(list)
    for path in ordered:
        for line in lines_of([path]):
            published[line["document"]].append(line["fields"]["version"])
    found = []
    for each, versions in acknowledged.items():
        seen = published[each]
        firsts = [version for version in dict.fromkeys(seen) if version in versions]
        if firsts != sorted(firsts):
            found.append(f"out of order: {each} was published as {firsts}")
        elif seen and seen[-1] < versions[-1]:
            found.append(f"an older version came last: {each}, {seen[-5:]} and not {versions[-1]}")
    return found

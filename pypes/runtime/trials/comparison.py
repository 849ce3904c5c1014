"""Comparisons: what two versions of a graph made of the same documents, counted, with a few examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pypes.observe.hiding import Hiding
from pypes.runtime.trials.trial import Passage

#: Differences that are shown whole; the others are counted.
MAX_EXAMPLES = 20
#: Fields that are counted by name, of one publisher.
MAX_FIELDS = 200
#: Of a value in an example, so much text.
SHOWN_CHARS = 200

Packet = dict[str, Any]


class Publisher:
    """Differences at one publisher: packets that only one version gave, fields (by name) of those that both gave."""

    def __init__(self) -> None:
        self.missing = 0
        self.added = 0
        self.changed = 0
        self.fields: Counter[str] = Counter()

    def to_obj(self) -> dict[str, Any]:
        return {"missing": self.missing, "added": self.added, "changed": self.changed, "fields": dict(self.fields)}


class Comparison:
    """Grows document by document. ``live`` is the version that is in force, ``candidate`` the other one.

    What ``hiding`` hides is taken out of what is shown, before it is cut.
    """

    def __init__(self, hiding: Hiding) -> None:
        self._hiding = hiding
        self.documents = 0
        self.different = 0
        self._publishers: dict[str, Publisher] = {}
        self._fates: Counter[tuple[str, str]] = Counter()
        self._examples: list[dict[str, Any]] = []

    def add(self, receipt: str, document: int, live: Passage, candidate: Passage) -> None:
        """Compare what became of one document."""
        self.documents += 1
        found: list[dict[str, Any]] = []
        before, after = _fate(live), _fate(candidate)
        if before != after:
            self._fates[before, after] += 1
            found.append({"what": "fate", "live": _letter(live), "candidate": _letter(candidate)})
        for name in sorted(live.arrived.keys() | candidate.arrived.keys()):
            found += self._arrived(name, live.arrived.get(name, ()), candidate.arrived.get(name, ()))
        self.different += bool(found)
        for difference in found[: MAX_EXAMPLES - len(self._examples)]:
            self._examples.append({"receipt": receipt, "document": document, **difference})

    def _arrived(self, name: str, live: Sequence[Packet], candidate: Sequence[Packet]) -> list[dict[str, Any]]:
        only_live, only_candidate = _unequal(live, candidate)
        if not only_live and not only_candidate:
            return []
        publisher = self._publishers.setdefault(name, Publisher())
        found = []
        for one, other in zip(only_live, only_candidate, strict=False):
            changes = _changes(one, other, self._hiding)
            publisher.changed += 1
            for field in changes:
                if field in publisher.fields or len(publisher.fields) < MAX_FIELDS:
                    publisher.fields[field] += 1
            found.append({"what": "changed", "publisher": name, "fields": changes})
        pairs = min(len(only_live), len(only_candidate))
        publisher.missing += len(only_live) - pairs
        publisher.added += len(only_candidate) - pairs
        found += [{"what": "missing", "publisher": name, "packet": _shown(packet, self._hiding)} for packet in only_live[pairs:]]
        found += [
            {"what": "added", "publisher": name, "packet": _shown(packet, self._hiding)} for packet in only_candidate[pairs:]
        ]
        return found

    def to_obj(self) -> dict[str, Any]:
        """The findings so far, as JSON values."""
        return {
            "documents": self.documents,
            "different": self.different,
            "publishers": {name: self._publishers[name].to_obj() for name in sorted(self._publishers)},
            "fates": [{"live": a, "candidate": b, "documents": n} for (a, b), n in sorted(self._fates.items())],
            "examples": self._examples,
        }


def _fate(passage: Passage) -> str:
    """``published``, ``dropped``, or ``failed`` with filter and code."""
    first = passage.failures[0] if passage.failures else None
    return passage.fate if first is None else f"{passage.fate} in {first['filter'] or 'reading'} ({first['code']})"


def _letter(passage: Passage) -> dict[str, Any]:
    return {"fate": passage.fate, "failures": [{**failure, "traceback": ""} for failure in passage.failures]}


def _unequal(live: Sequence[Packet], candidate: Sequence[Packet]) -> tuple[list[Packet], list[Packet]]:
    """Packets of each side that have no equal on the other, in their order."""
    if live == candidate:
        return [], []
    left, only_live = list(candidate), []
    for packet in live:
        try:
            left.remove(packet)
        except ValueError:
            only_live.append(packet)
    return only_live, left


def _changes(live: Packet, candidate: Packet, hiding: Hiding) -> dict[str, list[Any]]:
    """Field → ``[live, candidate]`` where they differ; metadata as ``meta.NAME``, metadata of a field as ``field_meta.NAME``."""
    found = {}
    for part, prefix in (("fields", ""), ("meta", "meta."), ("field_meta", "field_meta."), ("value", "value")):
        one, other = live.get(part), candidate.get(part)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            for name in sorted(one.keys() | other.keys()):
                if (name in one) != (name in other) or one.get(name) != other.get(name):
                    found[prefix + name] = [_short(hiding.value(side.get(name), name)) for side in (one, other)]
        elif one != other:
            found[prefix.rstrip(".") or part] = [_short(hiding.value(side)) for side in (one, other)]
    return found


def _shown(packet: Packet, hiding: Hiding) -> Packet:
    fields = packet.get("fields")
    if not isinstance(fields, dict):
        shown: Packet = _short(hiding.packet(packet))
        return shown
    return {"fields": {name: _short(value) for name, value in hiding.value(fields).items()}}


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else repr(value)
    return value if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}… ({len(text)} characters)"

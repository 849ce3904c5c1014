"""Log lines: the lines of JSONLines in form ``log``, and what a reader makes of them.

A line is about a packet, the end of a version, or a deletion. ``document`` (null without an id) and ``route`` say of which
document, and ``version`` of which version of it, as a text that sorts as versions do::

    {"document": "7", "route": "docs", "version": "…", "part": "row=1", "fields": {…}, "meta": {…}, "field_meta": {…}}
    {"document": "7", "route": "docs", "version": "…", "complete": true}
    {"document": "7", "route": "docs", "version": "…", "deleted": true}

Lines of several instances are mixed, and any line may come twice, before or after those of newer versions. :func:`fold` says what
they come to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from pypes import Packet, Reject
from pypes.core.identity import Completed, Version
from pypes.errors import BadId

_FIRST: Final = Version("")


def line_of(packet: Packet) -> dict[str, Any]:
    """The line of a packet. Raises :class:`Reject` for one with an id that is none, and for the deletion of no document."""
    try:
        document = packet.document
    except BadId as error:
        raise Reject(error.message, error.code) from error
    route = document.route if document else packet.get_meta("route")
    version = (packet.version or _FIRST).text
    known = {"document": document and document.id, "route": route if isinstance(route, str) else "", "version": version}
    if not packet.is_deletion:
        return {**known, "part": packet.part, **packet.to_json()}
    if document is None:
        raise Reject("a deletion needs an id: DELETE /docs/{route}/{id}", "lines.no_id")
    return {**known, "deleted": True}


def end_of(document: Completed) -> dict[str, Any]:
    """The line that ends a version: ``complete`` is false if something of it failed."""
    (route, id), version = document.document, document.version.text
    return {"document": id, "route": route, "version": version, "complete": document.is_whole}


def fold(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The lines of the packets that stand at the end of a log: ``fold(path.open("rb"))``.

    Of each document, these are the packets of its newest whole version: one that is ``complete`` or ``deleted``. While there is
    none, they are those of its newest delivery (all but the last number of ``version``, which is the run), each part as its
    newest run has it. Documents without an id stay, each part as its newest run has it. A line without a line break is
    ignored, as a crash leaves it at the end of a file. Files that were renamed go in one after the other.
    """
    return standing(orjson.loads(text) for text in lines if text.endswith(b"\n"))


def standing(lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same of lines that are parsed already."""
    documents: dict[tuple[Any, ...], _Document] = {}
    for number, line in enumerate(lines):
        version = line["version"]
        name: tuple[Any, ...] = line["route"], line["document"]
        if line["document"] is None:
            delivery = _delivery(version)
            name = *name, number if delivery.startswith("/") else delivery  # without a receipt, nothing is known to be the same
        document = documents.setdefault(name, _Document())
        if "part" in line:
            document.add(version, line)
        if line.get("complete") or line.get("deleted"):
            document.end(version)
    for document in documents.values():
        yield from document.standing()


class _Document:
    """A document in a log: its newest whole version, and its packets since then, by version and part."""

    def __init__(self) -> None:
        self._whole = ""
        self._packets: dict[str, dict[str, dict[str, Any]]] = {}

    def add(self, version: str, line: dict[str, Any]) -> None:
        if version >= self._whole:
            self._packets.setdefault(version, {})[line["part"]] = line

    def end(self, version: str) -> None:
        if version > self._whole:
            self._whole = version
            self._packets = {each: packets for each, packets in self._packets.items() if each >= version}

    def standing(self) -> Iterable[dict[str, Any]]:
        if self._whole or not self._packets:
            return self._packets.get(self._whole, {}).values()
        newest, found = _delivery(max(self._packets)), {}
        for version in sorted(self._packets):
            if _delivery(version) == newest:
                found.update(self._packets[version])
        return found.values()


def _delivery(version: str) -> str:
    """A version without its run: the same for all runs of a delivery."""
    return version.rpartition("/")[0]

"""Records: packets as destinations over the network take them, with the names by which versions of a document are told apart."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from pypes import Packet, Reject
from pypes.core.identity import Completed, Version
from pypes.errors import BadId
from pypes_basic.values import KEPT_META, acl_of, fitting, plain, printable, text_of

#: Longest name of a table or index that is made of metadata.
MAX_NAME: Final = 48


class Record(NamedTuple):
    """A document, or a part of one.

    ``document`` are 32 hexadecimal digits that stand for route and id (without an id, for the place in the delivery), ``place``
    as many that stand for the part. ``version`` is ``None`` outside of a node. ``is_told`` unless nobody will tell that the
    document is complete. ``fields`` are all but title, text and vector, of JSON; ``meta`` says where it came from.
    """

    document: str
    place: str
    version: Version | None
    is_told: bool
    route: str
    id: str | None
    part: str
    title: str
    text: str
    vector: list[float] | None
    acl: list[str] | None
    fields: dict[str, Any]
    meta: dict[str, Any]
    #: The name of a table, index or collection, where it depends on the packet.
    into: str
    #: The value of the field that is kept as it is, if the shape names one.
    body: Any = None

    @property
    def version_text(self) -> str:
        """Text that sorts as versions do; empty outside of a node."""
        return self.version.text if self.version is not None else ""


class Told(NamedTuple):
    """A version of a document of which nothing more comes; ``version`` is empty outside of a node."""

    document: str
    route: str
    id: str
    version: str
    is_whole: bool
    is_deleted: bool


class Shape(NamedTuple):
    """The fields of a packet that have a place of their own, and where it goes: ``into`` may hold ``{name}`` of metadata."""

    title: str
    text: str
    vector: str
    dimensions: int
    into: str
    #: Metadata kept beside :data:`KEPT_META`.
    keep: tuple[str, ...] = ()
    #: Field whose value is kept as it is, bytes as well.
    body: str = ""


def told_of(completed: Completed) -> Told:
    """The end of a version, by the names that records have."""
    document, version, is_whole, is_deleted = completed
    text = version.text if version.receipt else ""
    return Told(name_of(*document), printable(document.route), printable(document.id), text, is_whole, is_deleted)


def record_of(packet: Packet, shape: Shape, seen: Counter[str]) -> Record | Told:
    """The record of a packet, or the end of a document that it deletes; ``seen`` tells equal packets without a place apart.

    Raises ``Reject`` for a packet that cannot be stored, with the reason.
    """
    try:
        identity = packet.document
    except BadId as error:
        raise Reject(error.message, error.code) from error
    version = packet.version
    if packet.is_deletion:
        if identity is None:
            raise Reject("a deletion needs an id: DELETE /docs/{route}/{id}", "publisher.no_id")
        return told_of(Completed(identity, version or Version(""), is_whole=True, is_deleted=True))
    stored = {
        text_of(name): fitting(name, values if _is_list(packet, name, values) else values[0])
        for name, values in packet
        if name != shape.body
    }
    vector = _vector(stored.pop(shape.vector, None), shape)
    title = _words(stored.pop(shape.title, ""))
    text = _words(stored.pop(shape.text, ""))
    known = packet.parts()[1] or {}
    meta = {name: fitting(name, known[name]) for name in (*KEPT_META, *shape.keep) if name in known}
    acl = acl_of(known)
    if "acl" in meta:
        meta["acl"] = acl
    if vector is not None and (model := packet.get_meta("model", shape.vector)) is not None:
        meta["model"] = plain(model)
    title = title or _words(meta.get("filename", ""))
    part = packet.part
    if identity is not None:
        (route, id), document = identity, name_of(*identity)
    else:
        route, id = _words(known.get("route", "")), None
        if version is not None:
            document = digest(version.receipt, str(version.index))
        else:
            document = digest(title, text, orjson.dumps([stored, meta]).decode(), part)
            seen[document] += 1
            if seen[document] > 1:
                document = digest(document, str(seen[document]))
    return Record(
        document,
        digest(part),
        version,
        identity is not None and version is not None and version.run > 0,
        printable(route),
        id if id is None else printable(id),
        plain(part),
        title,
        text,
        vector,
        acl,
        stored,
        meta,
        filled(shape.into, packet),
        packet.get(shape.body) if shape.body else None,
    )


def name_of(route: str, id: str) -> str:
    """32 hexadecimal digits that stand for a document: ids are too long for keys, and hold what they may not."""
    return digest(route, id)


def digest(*texts: str) -> str:
    """32 hexadecimal digits that stand for texts."""
    made = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "little"))
        made.update(data)
    return made.hexdigest()


def filled(template: str, packet: Packet) -> str:
    """A name with the packet's metadata (or fields) in place of ``{name}``; raises ``Reject`` where they make none."""
    if "{" not in template:
        return template
    name = template
    for key in placeholders(template):
        value = packet.get_meta(key)
        value = packet.get(key) if value is None else value
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise Reject(
                f"the name {template!r} needs metadata or a field {key!r} with one text, and the packet has {value!r}",
                "publisher.name",
            )
        word = "".join(char if char.isascii() and char.isalnum() else "_" for char in str(value).lower())
        name = name.replace(f"{{{key}}}", word)
    if len(name) > MAX_NAME:
        raise Reject(f"the name {name!r} has more than {MAX_NAME} characters; route by shorter metadata", "publisher.name")
    return name


def placeholders(template: str) -> list[str]:
    """The names in braces."""
    return [piece.split("}")[0] for piece in template.split("{")[1:]]


def _is_list(packet: Packet, name: str, values: Sequence[Any]) -> bool:
    return len(values) != 1 or packet.is_multivalued(name)


def _words(value: Any) -> str:
    if isinstance(value, str):
        return text_of(value)
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_words(each) for each in value)
    return text_of(str(value))


def _vector(value: Any, shape: Shape) -> list[float] | None:
    if not shape.dimensions or value is None:
        return None
    is_vector = isinstance(value, list) and all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    if not is_vector:
        raise Reject(f"field {shape.vector!r} is no list of numbers", "search.vector")
    if len(value) != shape.dimensions:
        raise Reject(
            f"field {shape.vector!r} has {len(value)} numbers, and the destination takes {shape.dimensions} "
            "(parameter dimensions); was it made by another model?",
            "search.dimensions",
        )
    numbers = [float(each) for each in value]
    if not all(map(math.isfinite, numbers)):
        raise Reject(f"field {shape.vector!r} holds a number that is not finite", "search.vector")
    return numbers

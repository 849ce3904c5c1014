"""Bucket: objects of one document or part each, and the heads that say which version of a document stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

from pypes import Reject
from pypes.errors import ComponentError
from pypes_stores.object_names import Part, folder_of, part_of
from pypes_stores.object_store import published, refused

#: ``whole``: this version stands. ``open``: none was whole yet, so all parts from this version on are shown.
#: ``gone``: this version has nothing, or deletes the document.
State = Literal["whole", "open", "gone"]

#: Most bytes of the metadata of an object, as S3 counts them, and what is left for those that every object has.
MOST_META_BYTES: Final = 2_000
#: Objects of one page of a listing.
PAGE_OBJECTS: Final = 1_000
#: An object by which it is found what the store does, and its content. No document has this key.
CHECK: Final = ".pypes.parts/check"
CHECKED: Final = b"Pypes puts documents here."
NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


class Body(NamedTuple):
    """The content of an object, and metadata beside those of the version."""

    data: bytes
    content_type: str
    meta: Mapping[str, str]


class Head(NamedTuple):
    """The object of a document, by its metadata."""

    document: str
    version: str
    state: State
    #: True if the object is a packet rather than a note about the document.
    is_packet: bool
    #: True if the version has parts beside it.
    has_parts: bool
    #: True if parts of older versions may be there, which whoever put this one has still to remove, or has not.
    is_unswept: bool = False
    #: The condition under which it may be replaced.
    mark: Any = None

    def stands_before(self, version: str) -> bool:
        """True if a version need not, and must not, take the place of this one."""
        return self.state != "open" and bool(version) and self.version >= version


class Bucket:
    """Requests to a store. All block, and raise ``Reject`` or ``Unreachable`` (:func:`published`)."""

    def __init__(self, store: Any, redact: Callable[[str], str], gone_tags: Mapping[str, str] = NO_TAGS) -> None:
        self._store = store
        self._redact = redact
        self._gone_tags = gone_tags

    def head(self, key: str) -> Head | None:
        """The head at a key, ``None`` if nothing is there. Raises ``Reject`` for an object that no publisher has put."""
        import obstore

        with published(self._redact):
            try:
                found = obstore.get(self._store, key, options={"head": True})
            except FileNotFoundError:
                return None
        meta: Mapping[str, str] = {name.lower(): value for name, value in found.attributes.items()}
        if "document" not in meta or "version" not in meta:
            raise Reject(f"{key} is an object that Pypes has not put, and stays; move it away, or set key", "s3.key_taken")
        known: Mapping[str, Any] = found.meta
        mark = {name: known[name] for name in ("e_tag", "version") if known[name] is not None}
        state: Any = meta.get("state")
        is_packet, has_parts, is_unswept = (meta.get(name) == "yes" for name in ("packet", "parts", "unswept"))
        return Head(meta["document"], meta["version"], state, is_packet, has_parts, is_unswept, mark)

    def put_head(self, key: str, head: Head, body: Body, over: Head | None) -> bool:
        """Put a head in the place of another one, or where none is; ``False`` if somebody was faster."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        meta = {
            **{"document": head.document, "version": head.version, "state": head.state},
            **{"packet": "yes" if head.is_packet else "no", "parts": "yes" if head.has_parts else "no"},
            **({"unswept": "yes"} if head.is_unswept else {}),
        }
        mode = "create" if over is None else over.mark
        with published(self._redact):
            try:
                self._put(key, body, meta, mode, self._gone_tags if head.state == "gone" else NO_TAGS)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def put_part(self, key: str, body: Body, document: str, version: str) -> None:
        """Put a part; nobody else puts other content under its key."""
        with published(self._redact):
            self._put(key, body, {"document": document, "version": version}, "overwrite")

    def read(self, key: str) -> Body | None:
        """An object, ``None`` if it is not there."""
        import obstore

        with published(self._redact):
            try:
                found = obstore.get(self._store, key)
            except FileNotFoundError:
                return None
            data = bytes(found.bytes())
        meta = {name.lower(): str(value) for name, value in found.attributes.items()}
        kind = meta.pop("content-type", "application/octet-stream")
        return Body(data, kind, {name: meta[name] for name in ("id", "route", "part", "acl") if name in meta})

    def parts(self, key: str) -> list[Part]:
        """All parts of a document, of all versions."""
        import obstore

        folder = folder_of(key)
        with published(self._redact):
            pages = obstore.list(self._store, prefix=folder, chunk_size=PAGE_OBJECTS)
            return [part_of(key, each["path"]) for page in pages for each in page]

    def check(self) -> None:
        """Check rights, and that the store keeps conditions. Raises ``ComponentError`` where somebody has to mend something."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with refused(self._redact):
            next(iter(obstore.list(self._store, prefix=CHECK, chunk_size=1)), None)
            with suppress(AlreadyExistsError):
                obstore.put(self._store, CHECK, CHECKED, mode="create")
            modes: tuple[Any, ...] = ("create", {"e_tag": '"none"', "version": "1"})
            for mode in modes:
                with suppress(AlreadyExistsError, PreconditionError):
                    obstore.put(self._store, CHECK, CHECKED, mode=mode)
                    raise ComponentError(
                        "the store puts objects although the condition (If-None-Match, If-Match) is not met: an older version "
                        "could replace a newer one. Use a store that keeps conditions",
                        code="s3.no_conditions",
                    )
            obstore.get(self._store, CHECK, options={"head": True})
            obstore.delete(self._store, f"{CHECK}.none")

    def delete(self, keys: Collection[str]) -> None:
        """Remove objects, without a condition: of versions that can never stand again."""
        import obstore

        if keys:
            with published(self._redact):
                obstore.delete(self._store, sorted(keys))

    def _put(self, key: str, body: Body, meta: Mapping[str, str], mode: Any, tags: Mapping[str, str] = NO_TAGS) -> None:
        import obstore

        given: dict[str, Any] = {"attributes": {"Content-Type": body.content_type, **body.meta, **meta}, "mode": mode}
        if tags:  # they need a right of their own
            given["tags"] = dict(tags)
        # PERF: large parts travel in pieces; a condition is for whole objects
        obstore.put(self._store, key, body.data, **given)


def metadata(values: Mapping[str, str]) -> dict[str, str]:
    """Metadata of an object: texts in ASCII, ``%`` and two digits for each other byte.

    The id and the route, for which the digest stands as well, are left out where they are too long. Raises ``Reject`` for others.
    """
    found = {name: quote(value, safe="/:=,@+") for name, value in values.items() if value}
    for name in ("id", "route", "part"):
        if _size(found) > MOST_META_BYTES - 400:
            found.pop(name, None)
    if _size(found) > MOST_META_BYTES - 400:
        raise Reject("the access list is too long for the metadata of an object; publish JSON (body empty)", "s3.metadata")
    return found


def _size(meta: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in meta.items())

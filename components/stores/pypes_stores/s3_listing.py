"""S3Listing: fetch the objects of a bucket that are new or have changed, and delete the documents of those that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final

from pypes import Example, Help, Packet, Parameters, Source
from pypes.core.file_names import in_one_line, named
from pypes.errors import ComponentError
from pypes_basic.fetched import Fetched, in_batches, longest_data, too_large
from pypes_basic.naming import deletion, id_help
from pypes_basic.seen import Seen
from pypes_basic.unpacking import kind_of, unpack
from pypes_stores.object_store import ADDRESS, OPTIONS, opened, told

#: Bounds of one fetch that is stored at once: so many objects, or a share of those known, since the cursor with all is stored
#: each time; or so many bytes. A larger object goes alone.
BATCH_OBJECTS: Final = 256
BATCH_SHARE: Final = 16
MOST_OBJECTS: Final = 4096
BATCH_BYTES: Final = 4 << 20
#: Objects of one page of a listing.
PAGE_OBJECTS: Final = 1_000
#: About what the metadata of an object add to its bytes; and what they never reach, names being 1,024 bytes at most.
META_BYTES: Final = 1024
MOST_META_BYTES: Final = 1 << 14

#: An object as a listing shows it: path, e_tag, size, last_modified.
_Object = dict[str, Any]


class S3Listing(Source):
    """Fetch the objects of a bucket that are new or have changed since, and delete the documents of those that are gone.

    The bucket may be of S3 and what speaks its protocol, of Google Cloud (``gs://``) or of Azure (``az://``). A document has the
    bytes in ``data``, and ``path`` (below the address), ``filename``, ``mimetype`` by the name and ``modified`` as metadata. Its
    id is the path unless ``id`` says otherwise, so that a changed object replaces its document. What ``.gz``, ``.bz2`` and
    ``.xz`` hold is unpacked where the name says what it is (``people.csv.gz``).

    Changed is what has another ``ETag`` or size. An object that is changed or removed while it is read is for the next run. What
    was seen is part of the cursor, by name, so this is for some hundred thousand objects rather than millions. A listing that
    fails midway deletes nothing.

    A run that would delete more than ten documents, and more than half of those known, deletes none and ends with
    ``source.too_many_deletions``, since the address may just be another one; ``POST /graphs/{name}/trigger?confirm=deletions``
    has them deleted.
    """

    icon = "cloud-download"
    tags = ("files", "cloud", "deletions")
    needs = {"obstore": 'pip install "pypes-stores[s3]"'}
    #: ``${BUCKET}`` is the address of a bucket with an object ``a.txt``.
    example = Example(
        params={
            "url": "${BUCKET}",
            "options": {"endpoint": "${S3}", "access_key_id": "${KEY}", "secret_access_key": "${SECRET}"},
        },
        gives=Packet({"data": b"hello"}, {"id": "a.txt", "path": "a.txt", "mimetype": "text/plain"}),
    )

    class Params(Parameters):
        url: Annotated[str, Help("The bucket, with the beginning of its objects' names: s3://BUCKET/PATH.", pattern=ADDRESS)]
        pattern: Annotated[str, Help("Which objects, by their path below url, such as *.pdf; * matches any text.")] = "*"
        options: Annotated[
            dict[str, str],
            Help(
                'Access: {"region": "…", "access_key_id": "…", "secret_access_key": "${SECRET}", "endpoint": "…"}.',
                harmless=OPTIONS,
            ),
        ] = {}
        id: Annotated[str, id_help("Id of each document, made of {path} (below url)", "path")] = "{path}"
        deletions: Annotated[bool, Help("Delete the document of an object that is gone.")] = True
        max_bytes: Annotated[int, Help("A larger object is not read, but becomes a dead letter.", ge=1)] = 32 * 1024 * 1024
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", gt=0)] = 60.0

    def setup(self) -> None:
        params = self.params
        #: The template of ids and the address as they are stored: no value of a variable gets into them.
        self._template = self.secrets.redact(params.id)
        self._url = self.secrets.redact(params.url)
        with told(self.secrets.redact):
            self._store = opened(params.url, params.options, params.timeout_s)

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        seen = Seen(cursor["seen"] if cursor else {})
        if cursor and cursor["url"] != self._url:
            # another place holds other contents, and what the former had and this one has not is gone
            seen.outdate()
        found = self._listed()
        changed = {path: each for path, each in found.items() if not seen.is_as(path, _stamp(each))}
        gone = [path for path in seen.entries if path not in found]
        living = {self._id(path) if path in changed else seen.id_of(path) for path in {*found, *seen.entries} - {*gone}}
        yield from self._documents(changed, seen, living)
        yield from self._deletions(gone, seen, living)

    def process(self, packet: Packet) -> Packet:
        limit = packet.get_meta("toolarge")
        if limit is None:
            return packet
        raise too_large(packet.get_meta("path"), limit, self.params.max_bytes, "store the object again", "s3.too_large")

    def _listed(self) -> dict[str, _Object]:
        """All objects that are asked for, by path."""
        import obstore

        found: dict[str, _Object] = {}
        with told(self.secrets.redact):
            for page in obstore.list(self._store, chunk_size=PAGE_OBJECTS):
                for each in page:
                    path = each["path"]
                    if path and fnmatchcase(path, self.params.pattern):
                        found[path] = dict(each)
        return dict(sorted(found.items()))

    def _documents(self, changed: dict[str, _Object], seen: Seen, living: set[str]) -> Iterator[tuple[list[Packet], Any]]:
        """Yield the documents that are new or have changed. One that has another id by now is deleted under the one it had."""
        most = min(BATCH_BYTES, longest_data(self.fetched_bytes, MOST_META_BYTES))
        found = self._changed(changed, seen, living)
        yield from in_batches(found, most, lambda: self._batch_objects(seen), lambda: self._cursor(seen))

    def _changed(self, changed: dict[str, _Object], seen: Seen, living: set[str]) -> Iterator[Fetched]:
        for path, each in changed.items():
            packet = self._read(path, each)
            if packet is None:
                continue
            size = len(packet.get("data") or b"") + META_BYTES + 3 * len(path)
            packets, former = [packet], seen.id_of(path)
            if former and former not in living and self.params.deletions:
                packets.append(self._deletion(former, path))
            yield Fetched(packets, size, partial(seen.put, path, _stamp(each), self._id(path)))

    def _deletions(self, gone: list[str], seen: Seen, living: set[str]) -> Iterator[tuple[list[Packet], Any]]:
        doomed: dict[str, str] = {}
        if self.params.deletions:
            doomed = {path: id for path in gone if (id := seen.id_of(path)) and id not in living}
        if seen.are_too_many(doomed) and not self.is_confirmed:
            raise ComponentError(
                f"{len(doomed)} objects in {self._url} that were known are gone, more than half: their documents are not "
                f"deleted; if they are to be deleted, POST /graphs/{self.graph_name}/trigger?confirm=deletions",
                code="source.too_many_deletions",
            )
        if seen.forget(path for path in gone if path not in doomed):
            yield [], self._cursor(seen)
        left = iter(doomed.items())
        while some := list(islice(left, self._batch_objects(seen))):
            seen.forget(path for path, _ in some)
            yield [self._deletion(id, path) for path, id in some], self._cursor(seen)

    def _read(self, path: str, each: _Object) -> Packet | None:
        """An object as a packet; ``None`` if it has changed since it was listed: then it is for the next time.

        There is none, either, under the name of what stands for a folder, which a listing shows without the ``/`` at its end.
        """
        import obstore
        from obstore.exceptions import PreconditionError

        compression, media_type = kind_of(path)
        meta: dict[str, Any] = {
            "path": path,
            "filename": in_one_line(path.rpartition("/")[2]),
            "mimetype": media_type,
            "contentlength": each["size"],
            "modified": each["last_modified"].astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        if id := self._id(path):
            meta["id"] = id
        limit = min(self.params.max_bytes, longest_data(self.fetched_bytes, MOST_META_BYTES))
        if each["size"] > limit:
            return Packet.from_document({}, meta | {"toolarge": limit})
        with told(self.secrets.redact):
            try:
                options: Any = {"if_match": each["e_tag"]} if each["e_tag"] else {}
                data: bytes | None = bytes(obstore.get(self._store, path, options=options).bytes())
            except (FileNotFoundError, PreconditionError):
                return None
        if data and compression:
            try:
                data = unpack(data, compression, limit)
            except ValueError as error:
                self.log.warning("an object was not unpacked", extra={"path": path, "reason": str(error)})
                # as it is: the adapters say what is wrong with it
                return Packet.from_document({"data": data}, meta)
            if data is None:
                return Packet.from_document({}, meta | {"toolarge": limit})
        return Packet.from_document({"data": data}, meta)

    def _cursor(self, seen: Seen) -> dict[str, Any]:
        return {"url": self._url, "seen": seen.entries}

    def _id(self, path: str) -> str:
        return named(self._template, path=path)

    def _deletion(self, id: str, path: str) -> Packet:
        return deletion(id, path=path, mimetype=kind_of(path)[1])

    def _batch_objects(self, seen: Seen) -> int:
        return max(BATCH_OBJECTS, min(seen.count // BATCH_SHARE, MOST_OBJECTS))


def _stamp(each: _Object) -> list[Any]:
    """The marks of an object that nobody has changed: size, and ETag or time of change."""
    return [each["size"], each["e_tag"] or each["last_modified"].timestamp()]

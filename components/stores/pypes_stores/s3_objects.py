"""S3Objects: publish to a bucket of S3, Google Cloud or Azure, an object for each document."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

import orjson

from pypes import Example, Help, Packet, Parameters, Reject, Unreachable
from pypes_basic.records import Record, Shape, Told
from pypes_basic.values import KEPT_META
from pypes_basic.whole_publisher import WholePublisher
from pypes_stores.bucket import NO_TAGS, Body, Bucket, metadata
from pypes_stores.object_names import TEMPLATE, key_of
from pypes_stores.object_store import ADDRESS, OPTIONS, opened, told
from pypes_stores.object_writing import Writer

#: The tag of an object that stands for a deleted document.
GONE_TAGS = {"pypes": "gone"}


class S3Objects(WholePublisher):
    """Publish whole documents as objects of a bucket, of S3 and what speaks its protocol, Google Cloud or Azure.

    In: packets. Out: an object for each document under ``key``: its packet as JSON (``route``, ``id``, ``part``, ``version``,
    ``fields``, ``meta``, ``acl``), or with ``body`` the bytes or the text of that field. Its metadata are ``document`` (a
    digest), ``version``, ``state``, ``parts``, and ``route`` and ``id`` with ``%`` escapes. Parts (rows, chunks, attachments) are
    objects of their own, ``KEY.parts/VERSION/row=1``; where there is nothing else, the object under ``key`` says where they are.

    A document replaces the one of the same route and id as soon as it is complete: its object is put on the condition that it is
    still the one that was read, after all of its parts, and then older parts are removed. Readers of the object see one version,
    never two and never none. A duplicate, or an older version that comes late, changes nothing. Of a document that is deleted, or
    has nothing left, the object stays as a note with ``state`` ``gone``: stores delete without a condition.

    While the store cannot be reached, is busy or lets nobody in, the filter rests. Set-up checks the bucket, the rights, and that
    the store keeps conditions. An object that Pypes has not put is never replaced: its document becomes a dead letter
    (``s3.key_taken``).
    """

    icon = "cloud-upload"
    tags = ("files", "cloud")
    needs = {"obstore": 'pip install "pypes-stores[s3]"'}
    example = Example(
        takes=Packet({"id": "ada", "title": "Ada"}),
        params={
            "url": "${BUCKET}",
            "options": {"endpoint": "${S3}", "access_key_id": "${KEY}", "secret_access_key": "${SECRET}"},
            "key": "{route}/{id}.json",
        },
    )

    class Params(Parameters):
        url: Annotated[str, Help("The bucket, with the beginning of its objects' names: s3://BUCKET/PATH.", pattern=ADDRESS)]
        options: Annotated[
            dict[str, str],
            Help(
                'Access: {"region": "…", "access_key_id": "…", "secret_access_key": "${SECRET}", "endpoint": "…"}.',
                harmless=OPTIONS,
            ),
        ] = {}
        key: Annotated[
            str,
            Help(
                "Key of a document's object below url, of {route}, {id} and names of your own.", pattern=TEMPLATE, max_length=200
            ),
        ] = "{route}/{id}"
        body: Annotated[str, Help("Field whose bytes or text are the object; empty: the packet as JSON.")] = ""
        content_type: Annotated[
            str,
            Help("Type of objects made of body; empty: metadata mimetype for bytes, text/plain for text.", pattern=r"^[ -~]*$"),
        ] = ""
        keep: Annotated[list[str], Help("Metadata in the JSON beside those of where a document came from.")] = []
        tag_gone: Annotated[
            bool, Help("Tag what stands for deleted documents (pypes=gone), for a lifecycle rule of S3 that removes it.")
        ] = False
        concurrency: Annotated[int, Help("Documents that are written at the same time.", ge=1, le=256)] = 16
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", gt=0)] = 60.0

    def setup(self) -> None:
        params = self.params
        # all fields stay fields: none but the body has a place of its own
        self.prepare(Shape("", "", "", 0, "", tuple(set(params.keep) - set(KEPT_META)), params.body))
        with told(self.secrets.redact):
            store = opened(params.url, params.options, params.timeout_s)
        self._bucket = Bucket(store, self.secrets.redact, GONE_TAGS if params.tag_gone else NO_TAGS)
        self._threads = ThreadPoolExecutor(params.concurrency, thread_name_prefix="objects")
        self._writer = Writer(self._bucket, partial(key_of, params.key), self._body, self._threads)
        try:
            self._bucket.check()
        except Unreachable as error:
            # documents that come wait until it can be reached
            self.log.warning("the object store cannot be reached yet", extra={"error": str(error)})

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        self._writer.write(records, told)

    def teardown(self) -> None:
        if hasattr(self, "_threads"):
            self._threads.shutdown()

    def _body(self, record: Record) -> Body:
        name = self.params.body
        meta = {"route": record.route, "id": record.id or "", "part": record.part}
        if not name:
            said: dict[str, Any] = {
                **{"route": record.route, "id": record.id, "part": record.part, "version": record.version_text},
                **{"fields": record.fields, "meta": record.meta},
            }
            if record.acl is not None:
                said["acl"] = record.acl
            return Body(orjson.dumps(said, option=orjson.OPT_NON_STR_KEYS), "application/json", metadata(meta))
        if record.acl is not None:
            meta["acl"] = orjson.dumps(record.acl).decode()
        if isinstance(record.body, str):
            data, kind = record.body.encode("utf-8", "replace"), "text/plain; charset=utf-8"
        elif isinstance(record.body, bytes | bytearray | memoryview):
            data, kind = bytes(record.body), _type_of(record)
        else:
            held = "is missing" if record.body is None else f"holds {type(record.body).__name__}"
            raise Reject(
                f"field {name!r} {held}, and an object is made of bytes or text; set body to the field that has them",
                "s3.no_body",
            )
        return Body(data, self.params.content_type or kind, metadata(meta))


def _type_of(record: Record) -> str:
    """The media type of a packet's bytes, if it is fit for a header."""
    given = record.meta.get("mimetype")
    return given if isinstance(given, str) and given.isascii() and given.isprintable() and given else "application/octet-stream"

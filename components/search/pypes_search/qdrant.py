"""Qdrant: publish to collections of vectors, embedded in a folder or on a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pypes import Example, Help, Packet, Parameters, Reject, Unreachable
from pypes.errors import ComponentError
from pypes_basic.records import Record, Shape, Told, placeholders
from pypes_basic.timing import RETRY_S, TOMBSTONE_S, TombstoneS
from pypes_basic.whole_publisher import WholePublisher
from pypes_search.qdrant_writing import Writer
from pypes_search.versioned_writing import check_name, versions_of

#: Statuses of a server, or a proxy before it, that cannot do it now.
NOT_NOW = (408, 429, 500, 502, 503, 504)
#: Fields of a payload by which points are looked for.
INDEXED = ("document", "route", "id", "acl")


class Qdrant(WholePublisher):
    """Publish whole documents to Qdrant: a point for each part, with its vector and a payload.

    In: packets with a vector, a list of ``dimensions`` numbers as one value; one without is stored without, and is found by its
    payload only. Out: points with payload ``route``, ``id``, ``part``, ``title``, ``text``, ``acl``, ``fields`` (all others) and
    ``meta``. Collections are made when they are missing. With ``path`` Qdrant runs within this process: for tests and small
    collections, in one instance (``"max_instances": 1`` in the graph). With ``url`` it is a server, of version 1.16 or later.

    A document replaces the one of the same route and id with all of its parts when it is complete; if something of it fails, the
    older one stays. Its new parts are found before the old ones are removed, so that readers see both for a moment, never
    neither. A duplicate, or an older version that comes late, changes nothing. A DELETE removes the document.

    While the server cannot be reached, or answers that it cannot do it now, the filter rests. A wrong key, and a collection with
    other vectors, fail at set-up. A vector of another length becomes a dead letter.
    """

    icon = "waypoints"
    tags = ("search", "vectors")
    needs = {"qdrant_client": 'pip install "pypes-search[qdrant]"'}
    example = Example(
        takes=Packet({"id": "ada", "title": "Ada", "text": "Wrote the first program.", "vector": [0.6, 0.8]}),
        params={"path": "vectors", "dimensions": 2},
        leaves={"vectors/meta.json": None},
    )

    class Params(Parameters):
        dimensions: Annotated[int, Help("Numbers in a vector.", ge=1, le=65_536)]
        url: Annotated[str, Help("The server: https://HOST:6333; without it, path is used.")] = ""
        path: Annotated[str, Help("Folder of an embedded Qdrant, from the data directory if relative.", path=True)] = ""
        api_key: Annotated[str, Help("Key of the server: ${QDRANT_KEY}.")] = ""
        collection: Annotated[
            str,
            Help(
                "Collection to write to; {language} in it stands for metadata, or a field, of the packet.",
                pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]|\{[A-Za-z0-9_]+\})*$",
                max_length=80,
            ),
        ] = "docs"
        vector: Annotated[str, Help("Field that holds the vector.", min_length=1)] = "vector"
        title: Annotated[str, Help("Field that holds the title; the file name stands in for it.", min_length=1)] = "title"
        text: Annotated[str, Help("Field that holds the text.", min_length=1)] = "text"
        distance: Annotated[Literal["cosine", "l2", "dot"], Help("Distance between vectors.")] = "cosine"
        tombstone_s: TombstoneS = TOMBSTONE_S
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", ge=1)] = 60.0

        def __post_init__(self) -> None:
            if bool(self.url) == bool(self.path):
                raise ValueError("one of url (a server) and path (embedded) is needed, and not both")
            check_name(self.collection, "collection")

    def setup(self) -> None:
        from qdrant_client import QdrantClient, models

        params = self.params
        self.prepare(Shape(params.title, params.text, params.vector, params.dimensions, params.collection))
        self._has_versions = False
        if params.path:
            folder = str(Path(self.data_dir, params.path))
            try:
                self._client = QdrantClient(path=folder, force_disable_check_same_thread=True)
            except RuntimeError as error:  # another process has it
                raise ComponentError(
                    f'{params.path} is in use: an embedded Qdrant has one process. Give the graph "max_instances": 1, or a url',
                    code="qdrant.in_use",
                ) from error
        else:
            # PERF: without TLS, nothing reads all certificates of the machine, for 0.2 s
            plain: dict[str, Any] = {"verify": False} if params.url.startswith("http://") else {}
            self._client = QdrantClient(
                url=params.url, api_key=params.api_key or None, timeout=int(params.timeout_s), check_compatibility=False, **plain
            )
        self._models = models
        self._writer = Writer(self._client, models, versions_of(params.collection))
        self._pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[a-z0-9_]+", re.escape(params.collection)))
        try:
            self._try(lambda: self._ready([] if placeholders(params.collection) else [params.collection]))
        except Unreachable as error:
            # documents that come wait until it can be reached
            self.log.warning("Qdrant cannot be reached yet", extra={"error": str(error)})

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        collections = {record.into for record in records} if placeholders(self.params.collection) else {self.params.collection}
        try:
            self._try(lambda: self._ready(sorted(collections)))
        except ComponentError as error:  # until somebody mends it
            raise Unreachable(RETRY_S, error.message) from error
        self._try(lambda: self._writer.write(records, told))

    def forget(self) -> None:
        self._try(lambda: self._writer.forget(self.params.tombstone_s))

    def teardown(self) -> None:
        if hasattr(self, "_client"):
            self._client.close()

    def _ready(self, collections: Sequence[str]) -> None:
        """Have the versions and these collections there, and compared."""
        if not self._has_versions:
            self._make(self._writer.versions, {})
            self._has_versions = True
        if placeholders(self.params.collection):
            # others may have made some, from which documents move away
            there = [each.name for each in self._client.get_collections().collections]
            collections = [*collections, *filter(self._pattern.fullmatch, there)]
        for name in collections:
            if name not in self._writer.collections:
                self._compare(name)
                self._writer.collections.add(name)

    def _compare(self, name: str) -> None:
        params, models = self.params, self._models
        distance = {"cosine": models.Distance.COSINE, "l2": models.Distance.EUCLID, "dot": models.Distance.DOT}[params.distance]
        self._make(name, models.VectorParams(size=params.dimensions, distance=distance))
        known = self._client.get_collection(name).config.params.vectors
        has = (known.size, known.distance) if isinstance(known, models.VectorParams) else None
        if has != (params.dimensions, distance):
            shown = f"{has[0]} numbers with distance {has[1].value}" if has else "named vectors, or none"
            raise ComponentError(
                f"collection {name} does not fit: it has {shown} instead of {params.dimensions} with {distance.value}. Set "
                "dimensions and distance as they are there, or write to another collection",
                code="qdrant.schema",
            )

    def _make(self, name: str, vectors: Any) -> None:
        if self._client.collection_exists(name):
            return
        try:
            self._client.create_collection(name, vectors_config=vectors)
        except Exception:
            if not self._client.collection_exists(name):  # or another instance was faster
                raise
        if self.params.url:
            for field in INDEXED:
                self._client.create_payload_index(name, field, self._models.PayloadSchemaType.KEYWORD, wait=True)

    def _try(self, work: Callable[[], None]) -> None:
        """Do work, and say what an error of the client means."""
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        try:
            work()
        except ResponseHandlingException as error:  # nobody answered, or not to the end
            raise Unreachable(RETRY_S, str(error.source) or type(error.source).__name__) from error
        except UnexpectedResponse as error:
            said = f"{error.status_code} {error.reason_phrase}: {error.content.decode('utf-8', 'replace')[:1_000]}"
            if error.status_code in NOT_NOW:
                raise Unreachable(RETRY_S, said) from error
            if error.status_code in (401, 403):
                raise ComponentError(f"Qdrant refuses: {said}. Mend api_key, or its rights", code="qdrant.refused") from error
            if error.status_code == 404:  # somebody has removed a collection: it is made again with the next try
                self._has_versions = False
                self._writer.collections.clear()
                raise Unreachable(RETRY_S, said) from error
            raise Reject(said, "qdrant.refused_document") from error

"""OpenSearch and Elasticsearch: publish to indexes of a search server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pypes import Example, Help, Packet, Parameters, Unreachable
from pypes.errors import ComponentError
from pypes_basic.records import Record, Shape, Told, placeholders
from pypes_basic.timing import RETRY_S, TOMBSTONE_S, TombstoneS
from pypes_basic.whole_publisher import WholePublisher
from pypes_search.opensearch_client import UNANSWERED, Answered, Client
from pypes_search.opensearch_index import Layout, is_opensearch, prepare, prepare_index
from pypes_search.opensearch_writing import Writer
from pypes_search.versioned_writing import check_name


class OpenSearch(WholePublisher):
    """Publish whole documents to OpenSearch or Elasticsearch, for words and, with ``dimensions``, for vectors.

    In: packets with a title, a text and, if they are to be found by their meaning, a vector: a list of ``dimensions`` numbers as
    one value. Out: a document of the index for each part, with the fields of the packet, ``acl``, ``meta`` (where it came from)
    and ``pypes`` (``route``, ``id``, ``part``, ``version``). A template and the index are made when they are missing.

    A document replaces the one of the same route and id with all of its parts when it is complete; if something of it fails, the
    older one stays. Its new parts are found before the old ones are removed, so that readers see both for a moment, never
    neither. A duplicate, or an older version that comes late, changes nothing. A DELETE removes the document.

    While the server cannot be reached, or answers that it cannot do it now (429, 503, a disk that is full), the filter rests.
    Wrong passwords and an index that does not fit fail at set-up. A document that the server refuses, such as one with text in a
    field of numbers, becomes a dead letter with the server's reason.
    """

    icon = "search"
    tags = ("search", "vectors")
    example = Example(
        takes=Packet({"id": "ada", "title": "Ada", "text": "Wrote the first program."}),
        params={"url": "${SEARCH_URL}", "index": "people"},
    )

    class Params(Parameters):
        url: Annotated[str, Help("The server: https://USER:${PASSWORD}@HOST:9200.", min_length=1)]
        index: Annotated[
            str,
            Help(
                "Index to write to; {language} in it stands for metadata, or a field, of the packet.",
                pattern=r"^[a-z0-9]([a-z0-9_.-]|\{[A-Za-z0-9_]+\})*$",
                max_length=80,
            ),
        ] = "docs"
        alias: Annotated[
            str, Help("Another name under which readers find all its indexes.", pattern=r"^([a-z0-9][a-z0-9_.-]*)?$")
        ] = ""
        title: Annotated[str, Help("Field that holds the title; the file name stands in for it.", min_length=1)] = "title"
        text: Annotated[str, Help("Field that holds the text.", min_length=1)] = "text"
        vector: Annotated[str, Help("Field that holds the vector.", min_length=1)] = "vector"
        dimensions: Annotated[int, Help("Numbers in a vector; 0: no vectors.", ge=0, le=4_096)] = 0
        distance: Annotated[Literal["cosine", "l2", "dot"], Help("Distance that the index of vectors is made for.")] = "cosine"
        mappings: Annotated[dict[str, Any], Help('Mappings of further fields: {"created": {"type": "date"}}.')] = {}
        settings: Annotated[dict[str, Any], Help('Settings of a new index: {"number_of_shards": 3}.')] = {}
        refresh: Annotated[
            Literal["false", "wait_for", "true"],
            Help("Whether documents are found at once (true), or when the server refreshes."),
        ] = "false"
        api_key: Annotated[str, Help("Key in place of user and password, for Elasticsearch: ${API_KEY}.")] = ""
        ca: Annotated[str, Help("File of certificates to trust, from the data directory if relative.", path=True)] = ""
        tombstone_s: TombstoneS = TOMBSTONE_S
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", gt=0)] = 60.0

        def __post_init__(self) -> None:
            check_name(self.index, "index")

    def setup(self) -> None:
        params = self.params
        self.prepare(Shape(params.title, params.text, params.vector, params.dimensions, params.index))
        self._layout = Layout(
            *(params.index, params.title, params.text, params.vector, params.dimensions, params.distance),
            *(params.mappings, params.settings, params.alias),
        )
        ca = str(Path(self.data_dir, params.ca)) if params.ca else ""
        self._client = Client(params.url, api_key=params.api_key, ca=ca, timeout_s=params.timeout_s)
        self._writer = Writer(self._client, self._layout, params.refresh)
        #: True for OpenSearch, false for Elasticsearch, unknown until one has answered.
        self._is_opensearch: bool | None = None
        #: Indexes that are known to be there and to fit.
        self._known: set[str] = set()
        try:
            self._ready([] if placeholders(params.index) else [params.index])
        except (Unreachable, *UNANSWERED) as error:
            # documents that come wait until it can be reached
            self.log.warning("the search server cannot be reached yet", extra={"error": str(error)})

    def write(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        self._client.trace_fields = self.trace_fields
        indexes = {record.into for record in records}
        self._try(lambda: self._ready([self.params.index] if not placeholders(self.params.index) else sorted(indexes)))
        self._try(lambda: self._writer.write(records, told))

    def forget(self) -> None:
        self._try(lambda: self._writer.forget(self.params.tombstone_s))

    def teardown(self) -> None:
        if hasattr(self, "_client"):
            self._client.close()

    def _ready(self, indexes: Sequence[str]) -> None:
        """Have the template and these indexes there, and compared."""
        if self._is_opensearch is None:
            kind = is_opensearch(self._client)
            prepare(self._client, self._layout, opensearch=kind)
            self._is_opensearch = kind
        for index in indexes:
            if index not in self._known:
                prepare_index(self._client, self._layout, index, opensearch=self._is_opensearch)
                self._known.add(index)

    def _try(self, work: Callable[[], None]) -> None:
        """Do work; an index that is gone, or does not fit any more, lets the filter rest until it is there."""
        try:
            work()
        except ComponentError as error:
            raise Unreachable(RETRY_S, error.message) from error
        except Answered as error:
            if error.status == 404:  # somebody has removed an index: it is made again with the next try
                self._is_opensearch = None
                self._known.clear()
                raise Unreachable(RETRY_S, str(error)) from error
            raise


class Elasticsearch(OpenSearch):
    """Publish whole documents to Elasticsearch: another name of ``OpenSearch``, which asks the server which of the two it is.

    In, out, errors and duplicates are those of ``OpenSearch``.
    """

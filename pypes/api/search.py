"""``/search``: asks the index that a graph publishes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi

from pypes.api.graphs import UNKNOWN
from pypes.api.operation import BOOLEAN, JSON_OBJECT, NAMES, TEXT, Answer, Parameter, obj, operation
from pypes.api.permission import permit_graph, permitted
from pypes.api.query import check_names, choice_of, criterion_of, number_of
from pypes.api.request import Request
from pypes.component.searching import SearchQuery
from pypes.errors import BadRequest
from pypes.runtime.worker.searching import SEARCH_S, Search

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Hits of a page, unless ``limit`` says otherwise, and at most; and hits that may be passed over.
PAGE, MAX_PAGE, MAX_AFTER = 10, 100, 10_000
MAX_QUESTION = 4_000

CITATION = obj(
    {
        "file": TEXT,
        "url": TEXT,
        "page": {"type": "integer"},
        "page_end": {"type": "integer"},
        "heading": NAMES,
        "start": {"type": "integer"},
        "end": {"type": "integer"},
    }
)
HIT = obj(
    {
        "route": TEXT,
        "document": TEXT,
        "part": TEXT,
        "citation": CITATION,
        "ranks": {"type": "object", "additionalProperties": {"type": "integer"}},
        "fields": JSON_OBJECT,
        "meta": JSON_OBJECT,
        "others": {"type": "array", "items": JSON_OBJECT},
    },
    id=TEXT,
    title=TEXT,
    score={"type": "number"},
    snippet=TEXT,
)
FOUND = obj(hits={"type": "array", "items": HIT}, next={"type": ["string", "null"]}, notes=NAMES, graph=TEXT)

MANY: dict[str, Any] = {"type": "array", "items": TEXT}
PARAMETERS = (
    Parameter("q", f"The question, up to {MAX_QUESTION} characters, in the language of the index."),
    Parameter("limit", f"Hits of a page, {PAGE} unless said otherwise.", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}),
    Parameter(
        "after",
        "Hits to pass over: next of the previous page.",
        {"type": "integer", "minimum": 0, "maximum": MAX_AFTER},
    ),
    Parameter("graph", "The graph whose index is searched; without it the default graph."),
    Parameter("index", "The filter that publishes to the index, if the graph has several of these."),
    Parameter("route", "Only documents of this route."),
    Parameter("filter", "A condition such as language=de or created>=2026-01-01; may be repeated.", MANY),
    Parameter("principal", "A user or group who asks; may be repeated. Documents with other access lists are not found.", MANY),
    Parameter("any", "true: one of the words is enough, as in a question.", BOOLEAN),
    Parameter("group", "true: one hit for each document, with others of it.", BOOLEAN),
)
NAMES_OF_PARAMETERS = [parameter.name for parameter in PARAMETERS]


class Searching:
    """``/search``."""

    def __init__(self, worker: IngestWorker) -> None:
        self._worker = worker

    @operation(
        "Search the index that a graph publishes to",
        {200: Answer("The best hits, as `pypes search --json` prints them; `next` is where the next page begins.", FOUND)},
        errors={
            404: f"{UNKNOWN} Or its index is not there yet, or it has none that can be searched.",
            409: "The graph has several indexes, and none was named.",
            422: "A filter is none.",
            503: "The search took too long, too many wait, or the index is being upgraded.",
        },
        parameters=PARAMETERS,
        scope="read",
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        check_names(req, NAMES_OF_PARAMETERS)
        text = req.get_param("q") or ""
        if not text.strip() or len(text) > MAX_QUESTION:
            raise BadRequest(f"q must be a question of 1 to {MAX_QUESTION} characters", code="request.invalid", where="q")
        query = SearchQuery(
            text,
            number_of(req, "limit", PAGE, 1, MAX_PAGE),
            number_of(req, "after", 0, 0, MAX_AFTER),
            route=req.get_param("route"),
            filters=tuple(req.get_param_as_list("filter") or ()),
            principals=tuple(req.get_param_as_list("principal") or ()),
            any_word=choice_of(req, "any", ("true", "false")) == "true",
            group=choice_of(req, "group", ("true", "false")) == "true",
            timeout_s=SEARCH_S,
        )
        worker = self._worker
        graph = criterion_of(req, "graph")
        if graph is not None:
            permit_graph(req.client, graph)
        else:
            graph = permitted(req.client, worker.resolve, None)
        publisher = await worker.control.graphs.searched(graph, criterion_of(req, "index"))
        resp.data = await worker.searches.ask(Search(graph, **publisher, data_dir=worker.config.data_dir, query=query))

"""The ASGI application of an ingest worker: resources behind the guard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import falcon.asgi

from pypes.api import problems
from pypes.api.address import AddressRouter
from pypes.api.audit import Audit
from pypes.api.components import Components
from pypes.api.composites import Composites
from pypes.api.counting import Counting, RequestTallies
from pypes.api.deadletters import DeadLetters
from pypes.api.docs import Documents
from pypes.api.drafts import Drafts
from pypes.api.editor import Editor
from pypes.api.ending import Ending
from pypes.api.events import Events
from pypes.api.files import Files
from pypes.api.filters import Filters
from pypes.api.fleet import Drain, FleetResource
from pypes.api.graphs import Graphs
from pypes.api.guard import Guard
from pypes.api.health import Health, Readiness
from pypes.api.logs import Logs
from pypes.api.memory import Memory
from pypes.api.methods import Methods
from pypes.api.metrics import Metrics
from pypes.api.openapi import OpenApi
from pypes.api.outbox import Outbox
from pypes.api.page import Page
from pypes.api.receipts import Receipts
from pypes.api.reception import Reception
from pypes.api.request import Request
from pypes.api.search import Searching
from pypes.api.sessions import Sessions
from pypes.api.shadows import Shadows
from pypes.api.short_path import ShortPath
from pypes.api.signin import SignIn
from pypes.api.status import Status
from pypes.api.stores import Stores
from pypes.api.taps import Taps
from pypes.api.tokens import Tokens
from pypes.api.trials import Trials
from pypes.api.triggers import Triggers
from pypes.api.versions import Versions
from pypes.api.whereabouts import Whereabouts
from pypes.runtime.worker.config import WorkerConfig

if TYPE_CHECKING:
    from pypes.runtime.worker.worker import IngestWorker

#: Version of the HTTP interface, not of the software.
API_VERSION = "1"


def routes(
    worker: IngestWorker, config: WorkerConfig, memory: Memory, stopping: asyncio.Event, sessions: Sessions
) -> list[tuple[str, Any, str]]:
    """Every address: template, resource, suffix of the responders' names."""
    documents = Documents(worker, config, Reception(worker, config, memory), stopping)
    receipts = Receipts(worker, stopping)
    deadletters = DeadLetters(worker)
    filters = Filters(worker)
    components = Components(worker)
    composites = Composites(worker)
    graphs = Graphs(worker)
    files = Files(worker)
    versions = Versions(worker)
    trials = Trials(worker)
    drafts = Drafts(worker)
    shadows = Shadows(worker)
    stores = Stores(worker)
    outbox = Outbox(worker, stopping)
    editor = Editor(sessions)
    signin = SignIn(worker, sessions)
    tokens = Tokens(worker)
    table: list[tuple[str, Any, str]] = [
        ("/", editor, ""),
        ("/static/{file}", editor, "static"),
        ("/plain", Page(worker, sessions), ""),
        ("/session", signin, ""),
        ("/session/end", signin, "end"),
        ("/docs", documents, ""),
        ("/docs/{route}", documents, "route"),
        # an id may be a path
        ("/docs/{route}/{id:path}", documents, "id"),
        ("/receipts", receipts, ""),
        ("/receipts/{id}", receipts, "one"),
        ("/receipts/{id}/documents", receipts, "documents"),
        ("/receipts/{id}/trace", receipts, "trace"),
        ("/documents", Whereabouts(worker), ""),
        ("/deadletters", deadletters, ""),
        ("/deadletters/replay", deadletters, "replay"),
        ("/deadletters/{id}", deadletters, "one"),
        ("/deadletters/{id}/posted", deadletters, "posted"),
        ("/deadletters/{id}/replay", deadletters, "one_replay"),
        ("/filters", filters, ""),
        ("/filters/{id}", filters, "one"),
        ("/components", components, ""),
        ("/components/rescan", components, "rescan"),
        ("/components/{name}", components, "one"),
        ("/composites", composites, ""),
        ("/composites/{name}", composites, "one"),
        ("/composites/{name}/versions", composites, "versions"),
        ("/composites/{name}/versions/{version}", composites, "version"),
        ("/graphs", graphs, ""),
        ("/graphs/{name}", graphs, "one"),
        ("/graphs/{name}/file", files, ""),
        ("/graphs/{name}/convert", files, "convert"),
        ("/graphs/{name}/versions", versions, ""),
        ("/graphs/{name}/versions/{version}", versions, "one"),
        ("/graphs/{name}/rollback", versions, "rollback"),
        ("/drafts", drafts, ""),
        ("/graphs/{name}/wires", drafts, "wires"),
        ("/graphs/{name}/draft", drafts, "draft"),
        ("/graphs/{name}/deploy", drafts, "deploy"),
        ("/graphs/{name}/validate", trials, "validate"),
        ("/graphs/{name}/dryrun", trials, "dryrun"),
        ("/graphs/{name}/test", trials, "test"),
        ("/graphs/{name}/shadow", shadows, ""),
        ("/graphs/{name}/shadow/{id}", shadows, "one"),
        ("/graphs/{name}/times", graphs, "times"),
        ("/graphs/{name}/stores", stores, ""),
        ("/graphs/{name}/stores/{filter}", stores, "one"),
        ("/graphs/{name}/trigger", Triggers(worker), ""),
        ("/graphs/{name}/pause", versions, "pause"),
        ("/graphs/{name}/resume", versions, "resume"),
        ("/graphs/{name}/taps", Taps(worker, stopping), ""),
        ("/search", Searching(worker), ""),
        ("/outbox", outbox, ""),
        ("/outbox/{name}", outbox, "one"),
        ("/outbox/{name}/{cursor}", outbox, "cursor"),
        ("/healthz", Health(config.node), ""),
        ("/readyz", Readiness(worker), ""),
        ("/status", Status(worker), ""),
        ("/fleet", FleetResource(worker), ""),
        ("/drain", Drain(worker), ""),
        ("/events", Events(worker, stopping), ""),
        ("/metrics", Metrics(worker), ""),
        ("/logs", Logs(worker), ""),
        ("/audit", Audit(worker), ""),
        ("/tokens", tokens, ""),
        ("/tokens/{name}", tokens, "one"),
    ]
    table.append(("/openapi.json", OpenApi(table, API_VERSION), ""))
    return table


def create_app(worker: IngestWorker, config: WorkerConfig, stopping: asyncio.Event | None = None) -> tuple[Counting, ShortPath]:
    """Build the application around a started worker, and the short path beside it.

    Who waits for a receipt is answered once ``stopping`` is set.
    """
    budget = Memory(max(1, config.limits.receiving_bytes // config.workers))

    class BoundedRequest(Request):
        memory = budget

    app: falcon.asgi.App[Request, falcon.asgi.Response] = falcon.asgi.App(request_type=BoundedRequest, router=AddressRouter())
    sessions = Sessions(config, worker.register)
    table = routes(worker, config, budget, stopping or asyncio.Event(), sessions)
    for template, resource, suffix in table:
        app.add_route(template, resource, **({"suffix": suffix} if suffix else {}))
    problems.install(app, Methods(table).hint)
    (documents,) = (resource for template, resource, _ in table if template == "/docs")
    guard = Guard(Ending(app), config, worker.register, sessions, lambda: worker.state, worker.check_room)
    requests = RequestTallies(worker.tallies)
    return Counting(guard, requests), ShortPath(guard, documents, config.limits, requests)

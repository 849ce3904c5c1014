"""Node: hand documents to another node."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson

from pypes import Example, Help, Packet, Parameters, Publisher, Reject, Unreachable
from pypes.core.hops import MAX_HOPS, META
from pypes.core.identity import Completed
from pypes.core.trace_context import TraceContext
from pypes.errors import BadId
from pypes_basic.encoding import encode, refused_field
from pypes_basic.handed_over import MOST_KNOWN, Batch, HandedOver, Item
from pypes_basic.node_client import NodeClient
from pypes_basic.records import digest
from pypes_basic.timing import RETRY_S

#: Versions without an end that are remembered at once.
MOST_BEGUN: Final = 10_000
#: Metadata that the other node sets itself, or that is told in another way.
NOT_SENT: Final = ("receipt", "origin", "index", "run", "document", "part", "made", "route", "id", "requestmethod", META)
_ADDRESS: Final = "^(https?://|\\$\\{)"


class Node(Publisher):
    """Hand documents to another node of Pypes, with their metadata, and wait until it has accepted or finished them.

    Documents keep their ids and, unless ``route`` says another one, their routes. Deletions are handed over as deletions, and so
    is a document of which a new version leaves nothing (``empty``). Each is accepted once there, also if an answer was lost, the
    filter has tried again or a process was killed: what travels together is noted before, and sent again as it was, under the
    same idempotency key.

    With ``wait: finished`` a document counts as published when the other node has finished it. If it failed there, it is a dead
    letter here as well (``node.failed``), which names receipt, filter and error of the other node. Otherwise
    it counts when the other node has accepted it durably.

    While the other node cannot be reached, and with 401, 403, 429, 502, 503, 504, 507 or a redirect, the filter rests, as long as
    ``Retry-After`` says. What the other node refuses is a dead letter (``node.refused``). A part of a document (a row, a chunk)
    is one, too (``node.part``), if the document has an id: hand documents over before they are taken apart. One that came over 8
    nodes goes no further (``node.hops``), so that nodes which hand documents to each other in a circle end.
    """

    icon = "send-to-back"
    tags = ("http", "fleet")
    example = Example(
        takes=Packet({"id": "ada", "text": "Wrote the first program."}),
        params={"url": "${SITE}", "route": "people"},
    )

    # documents that are posted one by one share a request
    batch_size = 256

    class Params(Parameters):
        url: Annotated[str, Help("Address of the node, or of the balancer of its fleet.", pattern=_ADDRESS)]
        others: Annotated[list[str], Help("Addresses of other nodes of the same fleet, asked while one is away.")] = []
        token: Annotated[str, Help("Token of the other node with the scopes ingest and read: ${NODE_TOKEN}. Empty: none.")] = ""
        route: Annotated[str, Help("Route there; empty: that of each document.")] = ""
        wait: Annotated[
            Literal["accepted", "finished"], Help("What to wait for: that documents are safe there, or that they are finished.")
        ] = "accepted"
        lane: Annotated[Literal["live", "bulk"], Help("bulk: the other node runs them as far as live ones leave room.")] = "live"
        batch: Annotated[int, Help("Most documents of a request.", ge=1, le=1_000)] = 256
        max_bytes: Annotated[int, Help("Most bytes of a request with several documents.", ge=1)] = 4 * 1024 * 1024
        gzip: Annotated[bool, Help("Whether requests are compressed.")] = True
        empty: Annotated[
            bool,
            Help(
                "A document of which nothing comes here is deleted on the other node, where an older version may be; false where "
                "a Route leads few documents here."
            ),
        ] = True
        ca: Annotated[str, Help("File of certificates to trust, from the data directory if relative.", path=True)] = ""
        timeout_s: Annotated[float, Help("Longest time for an answer, in seconds.", gt=0, le=240)] = 30.0

    def setup(self) -> None:
        params = self.params
        self._turn: list[Item] = []
        self._contexts: list[TraceContext] = []
        #: The versions of the documents in this turn, those that end with it, and those of earlier turns that have not ended yet.
        self._versions: set[str] = set()
        self._ended: set[str] = set()
        self._begun: set[str] = set()
        self._deletes_empty = params.empty
        self._client = NodeClient(
            [params.url, *params.others],
            params.token,
            params.lane,
            Path(self.data_dir, params.ca) if params.ca else None,
            params.timeout_s,
            self.secrets.redact,
        )
        self._handed = HandedOver(
            self.open_store(MOST_KNOWN),
            f"{self.graph_name}/{self.name}",
            params.batch,
            params.max_bytes,
            is_compressed=params.gzip,
            is_synced=self.durability == "always",
        )

    def teardown(self) -> None:
        if hasattr(self, "_client"):
            self._client.close()

    def process_batch(self, packets: list[Packet]) -> None:
        seen: Counter[str] = Counter()
        try:
            items = [self._item(packet, seen) for packet in packets]
        except orjson.JSONEncodeError as error:
            raise Reject(f"{refused_field(packets)}JSON cannot say it: {error}", "node.value") from error
        self._turn += items
        self._contexts += self.trace_contexts(packets)
        for packet in packets:
            version = packet.version
            if version is not None and version.run and packet.document is not None:  # its end will be told
                self._versions.add(version.text)

    def complete(self, documents: list[Completed]) -> None:
        for document in documents:
            version = document.version.text
            came = version in self._begun or version in self._versions
            if not came and document.is_whole and document.version.receipt and self._deletes_empty:
                self._turn.append(self._deletion(document))
            self._ended.add(version)

    def commit(self) -> None:
        turn, self._turn = self._turn, []
        contexts, self._contexts = self._contexts, []
        versions, self._versions = self._versions, set()
        ended, self._ended = self._ended, set()
        if turn:
            self.offload(self._hand_over, turn, self.trace_headers(contexts))
        # only now: after a commit that raised, all comes again
        self._begun = (self._begun | versions) - ended
        if len(self._begun) > MOST_BEGUN:
            # packets of which nobody tells the end: rather an older version too many there than a document too few
            self._begun.clear()
            self._deletes_empty = False

    def _hand_over(self, items: list[Item], trace: dict[str, str]) -> None:
        """Have the other node accept documents and, if that is wanted, finish them. Blocks, and is called in a thread."""
        batches = self._handed.batches(items)
        for batch in batches:
            if not batch.receipt and not self._is_accepted(batch, trace):
                self._hand_over(items, trace)
                return
        if self.params.wait != "finished":
            return
        reasons: list[str] = []
        wanted = {item.key for item in items}
        for batch in batches:
            failed = self._finished(batch)
            reasons += [failed[place] for key, place in batch.places.items() if key in wanted and place in failed]
        if reasons:  # of several documents, each is looked for alone then
            raise Reject(reasons[0], "node.failed")

    def _is_accepted(self, batch: Batch, trace: dict[str, str]) -> bool:
        """Hand a batch over; false if it was refused, and documents that are not in this turn may be to blame."""
        try:
            batch.receipt = self._client.hand_over(batch.request, trace)
        except Reject:
            self._handed.forget(batch)
            if batch.is_known and len(batch.places) > 1:
                return False
            raise
        self.count("requests")
        self._handed.note(batch)
        return True

    def _finished(self, batch: Batch) -> dict[int, str]:
        if batch.failed is None:
            batch.failed = self._client.failed(batch.receipt)
            if batch.failed is None:
                raise Unreachable(RETRY_S, f"the other node has not finished receipt {batch.receipt} yet")
            self._handed.note(batch)
        return batch.failed

    def _item(self, packet: Packet, seen: Counter[str]) -> Item:
        """The item that a packet makes; ``seen`` tells equal ones of a batch apart."""
        try:
            identity = packet.document
        except BadId as error:
            raise Reject(error.message, error.code) from error
        if identity is not None and packet.part:
            raise Reject(
                f"this is {packet.part} of a document, and a node takes whole ones; hand it over before it is taken apart",
                "node.part",
            )
        count = _hops_of(packet) + 1
        if count > MAX_HOPS:
            raise Reject(
                f"the document came over {MAX_HOPS} nodes, the most that are allowed: "
                "look whether graphs of several nodes hand it to each other in a circle",
                "node.hops",
            )
        own = packet.get_meta("route")
        route = self.params.route or (own if isinstance(own, str) else "")
        id = identity.id if identity is not None else ""
        if packet.is_deletion:
            if identity is None or not route:
                raise Reject("a deletion needs an id and a route: DELETE /docs/{route}/{id}", "node.no_id")
            return Item(_key(packet, route, id, b"deleted", seen), route, id, count, b"")
        form: dict[str, Any] = packet.to_json()
        meta = {name: value for name, value in form["meta"].items() if name not in NOT_SENT}
        if identity is not None:
            meta["id"] = id
        data = encode({**form, "meta": meta})
        return Item(_key(packet, route, id, encode(form["fields"]), seen), route, id, count, data)

    def _deletion(self, document: Completed) -> Item:
        """A document of which nothing came here."""
        (own, id), version = document.document, document.version
        route = self.params.route or own
        # how far a deletion came that was dropped here is not known: one node more, or it may go in a circle
        count = MAX_HOPS if document.is_deleted else 1
        return Item(digest("end", version.receipt, str(version.index), route, id), route, id, count, b"")


def _hops_of(packet: Packet) -> int:
    text = packet.get_meta(META)
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _key(packet: Packet, route: str, id: str, content: bytes, seen: Counter[str]) -> str:
    """The name of what is handed over: its delivery and its place in that, and what it says.

    A replay is another delivery. Without a receipt, nothing is the same in another run.
    """
    receipt = packet.get_meta("receipt")
    index = packet.get_meta("index")
    delivery = receipt if isinstance(receipt, str) and receipt else uuid.uuid4().hex
    key = digest(delivery, str(index or 0), packet.part, route, id, content.decode())
    seen[key] += 1
    return key if seen[key] == 1 else digest(key, str(seen[key]))

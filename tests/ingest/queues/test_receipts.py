"""What receipts of every queue say, and what they leave for callbacks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from pypes.errors import NotFound
from pypes.ingest.contracts.queue import Queue
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Details, Fate, Outcome
from pypes.ingest.receipt import DocumentReport, ReceiptId, ReceiptQuery, received_of
from pypes.ingest.whereabouts import DocumentQuery
from tests.ingest.harness import header, letter, take


def published(*takers: str, version: int = 3) -> Outcome:
    return Outcome(1, version=version, details=Details((Fate("published", takers),), (1, 0)))


def test_a_receipt_leads_to_node_and_shard(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = ReceiptId.parse(await queue.intake.append(header(), b"x"))
        assert (id.node, id.shard) == (7, 3)

    play(scenario)


def test_a_receipt_follows_its_delivery(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        first, second = [await queue.intake.append(header(3), b"x") for _ in range(2)]
        receipt = await queue.receipts.get(first)
        assert receipt is not None
        assert (receipt.state, receipt.accepted, receipt.pending, receipt.finished) == ("queued", 3, 3, None)
        leases = await take(queue, 2)
        receipt = await queue.receipts.get(first)
        assert receipt is not None
        assert receipt.state == "processing"
        assert queue.leasing.ack(leases[0], Outcome(2, 1))
        assert queue.leasing.ack(leases[1], Outcome(2, 0, 1, (letter(second),)))
        await queue.leasing.settled()
        for _ in range(2):  # before and after it is in the store
            receipt = await queue.receipts.get(first)
            assert receipt is not None
            assert (receipt.state, receipt.published, receipt.dropped, receipt.failed, receipt.pending) == ("done", 2, 1, 0, 0)
            assert receipt.finished is not None
            assert receipt.finished >= receipt.received
            receipt = await queue.receipts.get(second)
            assert receipt is not None
            assert (receipt.state, receipt.failed) == ("failed", 1)
            assert [found.error for found in await queue.letters.find()] == ["boom"]

    play(scenario)


def test_a_document_is_looked_for_by_its_id_and_its_file(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        async def looked(text: str, limit: int = 9, before: int = 0, **more: Any) -> list[tuple[str, str, list[int]]]:
            found = await queue.receipts.look(DocumentQuery(text, **more), limit, before)
            return [(one.receipt.receipt, one.receipt.state, [each.index for each in one.documents]) for one in found.found]

        single = await queue.intake.append(header(), b"x")
        (lease,) = await take(queue)
        assert queue.leasing.ack(lease, published("index"), "a")
        several = await queue.intake.append(header(4), b"x")
        (lease,) = await take(queue)
        fates = (Fate("published", ("index",)), Fate("failed", (), "f"))
        dead = letter(lease.id, 3)
        details = Details(fates, (3, 0, 1, 1), {1: "a", 2: "a-b", 3: "a"}, {3: dead.id}, None, {3: "x.csv"}, None, "r")
        assert queue.leasing.ack(lease, Outcome(3, 0, 1, (dead,), version=1, details=details))
        waiting = await queue.intake.append(structs.replace(header(), id="a", filename="x.csv"), b"x")
        other = await queue.intake.append(structs.replace(header(), graph="h", id="a"), b"x")
        for _ in range(2):  # before and after it is in the store
            new, kept = (waiting, "queued", [0]), (several, "failed", [1, 3])
            assert await looked("a", graph="g") == [new, kept, (single, "done", [0])]
            assert await looked("x.csv") == [new, (several, "failed", [3])]
            assert await looked("x.csv", is_file=False) == await looked("a", is_id=False) == await looked("b") == []
            assert await looked("a-b") == [(several, "failed", [2])]
            assert await looked("a", among=("h",)) == [(other, "queued", [0])]
            assert await looked("a", among=("x*",)) == []
            await queue.leasing.settled()
        found = (await queue.receipts.look(DocumentQuery("a", graph="g"), 9)).found[1].documents
        assert found == [
            DocumentReport(1, "published", "a", ("index",), route="r"),
            DocumentReport(3, "failed", "a", (), "f", dead.id, "x.csv", "r"),
        ]

    play(scenario)


def test_a_search_ends_behind_what_it_has_found_and_goes_on_there(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        ids = []
        for _ in range(5):
            ids.append(await queue.intake.append(header(), b"x"))
            (lease,) = await take(queue)
            assert queue.leasing.ack(lease, published("index"), "a")
            await queue.leasing.settled()
        found, before, times = [], 0, 0
        while not times or before:
            looked = await queue.receipts.look(DocumentQuery("a"), 2, before)
            assert looked.deliveries > 0 or times
            found += [one.receipt.receipt for one in looked.found]
            before, times = looked.until, times + 1
            assert times < 9
        assert found == ids[::-1]

    play(scenario)


def test_a_receipt_says_how_many_parts_of_older_versions_are_gone(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        plain, removing = [await queue.intake.append(header(), b"x") for _ in range(2)]
        first, second = await take(queue, 2)
        assert queue.leasing.ack(first, published("left"))
        assert queue.leasing.ack(second, structs.replace(published("left"), removed={"right": 2, "left": 10}))
        for _ in range(2):  # before and after it is in the store
            receipt = await queue.receipts.get(plain)
            assert receipt is not None
            assert "removed" not in receipt.to_obj()
            receipt = await queue.receipts.get(removing)
            assert receipt is not None
            assert receipt.to_obj()["removed"] == {"left": 10, "right": 2}
            await queue.leasing.settled()

    play(scenario)


def test_a_receipt_says_who_posted(play: Callable[..., None]) -> None:
    posters = ("", "admin", "source:files", "admin")

    async def scenario(queue: Queue) -> None:
        ids = [await queue.intake.append(structs.replace(header(), poster=poster), b"x") for poster in posters]

        async def shown() -> list[Any]:
            receipts = [await queue.receipts.get(id) for id in ids]
            return [receipt and receipt.to_obj().get("posted_by") for receipt in receipts]

        assert await shown() == [None, "admin", "source:files", "admin"]
        outcome = published("index")  # one for all, as the documents of a wave share it
        for lease in await take(queue, len(ids)):
            assert queue.leasing.ack(lease, outcome)
        for _ in range(2):  # before and after it is in the store
            assert await shown() == [None, "admin", "source:files", "admin"]
            await queue.leasing.settled()

    play(scenario)


def test_ids_that_were_never_given_out_are_unknown(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        given = ReceiptId.parse(await queue.intake.append(header(), b"x"))
        for other in (
            given._replace(shard=4),
            given._replace(node=8),
            given._replace(salt=given.salt ^ 1),
            given._replace(position=5),
            given._replace(key=given.key + 1),
        ):
            assert await queue.receipts.get(str(other)) is None
        with pytest.raises(NotFound):
            await queue.receipts.get("nonsense")

    play(scenario)


def test_waiting_for_a_receipt_ends_with_the_delivery_or_the_time(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.intake.append(header(), b"x")
        receipt = await queue.receipts.wait(id, 0.01)
        assert receipt is not None
        assert receipt.state == "queued"
        waiting = asyncio.create_task(queue.receipts.wait(id, 20))
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(1))
        await queue.leasing.settled()
        receipt = await waiting
        assert receipt is not None
        assert receipt.state == "done"

    play(scenario)


def test_a_receipt_has_times_graph_and_version(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.intake.append(header(), b"x")
        receipt = await queue.receipts.get(id)
        assert receipt is not None
        assert (receipt.started, receipt.graph, receipt.version) == (None, "g", 0)
        (lease,) = await take(queue)
        receipt = await queue.receipts.get(id)
        assert receipt is not None
        assert receipt.started is not None
        queue.leasing.nack(lease)
        await queue.leasing.settled()
        started = receipt.started
        (lease,) = await take(queue)
        queue.leasing.ack(lease, published("index"), "doc-1")
        await queue.leasing.settled()
        receipt = await queue.receipts.get(id)
        assert receipt is not None
        assert (receipt.started, receipt.graph, receipt.version) == (started, "g", 3)
        assert receipt.started is not None
        assert receipt.finished is not None
        assert receipt.received <= receipt.started <= receipt.finished

    play(scenario)


def test_documents_of_one_fate_are_told_without_details(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        single = await queue.intake.append(header(), b"x")
        many = await queue.intake.append(header(500), b"x")
        assert await queue.receipts.documents(single, 10) == [DocumentReport(0, "pending")]
        assert await queue.receipts.documents(many, 2, 497) == [DocumentReport(498, "pending"), DocumentReport(499, "pending")]
        first, second = await take(queue, 2)
        queue.leasing.ack(first, published("index", "copy"), "doc-1")
        queue.leasing.ack(second, Outcome(0, 500, version=1, details=Details((Fate("dropped", (), "only"),), (500, 0))))
        await queue.leasing.settled()
        for _ in range(2):
            assert await queue.receipts.documents(single, 10) == [DocumentReport(0, "published", "doc-1", ("index", "copy"))]
            page = await queue.receipts.documents(many, 3, 100)
            assert page == [DocumentReport(i, "dropped", None, (), "only") for i in (101, 102, 103)]
            assert await queue.receipts.documents(many, 10, 499) == []

    play(scenario)


def test_documents_that_fared_differently_are_told_apart(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.intake.append(header(5), b"x")
        (lease,) = await take(queue)
        dead = letter(id)
        fates = (Fate("published", ("index",)), Fate("failed", ("copy",), "index"), Fate("dropped", (), "only"))
        details = Details(fates, (1, 1, 3, 0, 1, 2), {0: "a", 4: "e"}, {0: dead.id})
        queue.leasing.ack(lease, Outcome(3, 1, 1, (dead,), version=2, details=details))
        await queue.leasing.settled()
        reports = [
            DocumentReport(0, "failed", "a", ("copy",), "index", dead.id),
            *[DocumentReport(i, "published", None, ("index",)) for i in (1, 2, 3)],
            DocumentReport(4, "dropped", "e", (), "only"),
        ]
        assert await queue.receipts.documents(id, 10) == reports
        assert await queue.receipts.documents(id, 2, 1) == reports[2:4]

    play(scenario)


def test_an_outcome_without_details_still_names_dead_letters(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        id = await queue.intake.append(header(2), b"x")
        (lease,) = await take(queue)
        dead = letter(id)
        queue.leasing.ack(lease, Outcome(1, 0, 1, (dead,)))
        await queue.leasing.settled()
        documents = await queue.receipts.documents(id, 10)
        assert documents == [DocumentReport(0, "failed", None, (), "f", dead.id), DocumentReport(1, "published")]

    play(scenario)


def test_receipts_are_listed_by_state_and_paged(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        ids = [await queue.intake.append(header(), b"x") for _ in range(6)]
        for n, lease in enumerate(await take(queue, 4)):
            queue.leasing.ack(lease, Outcome(failed=1, dead_letters=(letter(lease.id),)) if n % 2 else published("index"))
            await queue.leasing.settled()
        await take(queue)

        async def listed(state: str | None, limit: int = 10, after: str = "", since: float = 0.0) -> list[str]:
            return [receipt.receipt for receipt in await queue.receipts.find(ReceiptQuery(state, since), limit, after)]

        assert await listed("failed") == [ids[1], ids[3]]
        assert await listed("done") == [ids[0], ids[2]]
        assert await listed("processing") == [ids[4]]
        assert await listed("queued") == [ids[5]]
        assert await listed(None) == ids
        assert await listed(None, 2, ids[0]) == ids[1:3]
        assert await listed("failed", 1, ids[1]) == [ids[3]]
        assert await listed(None, since=received_of(ids[-1]) + 60) == []
        assert await listed(None, since=received_of(ids[0]) - 60) == ids

    play(scenario)


def test_receipts_are_listed_newest_first(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        ids = [await queue.intake.append(header(), b"x") for _ in range(4)]
        others = sorted(await asyncio.gather(*(queue.intake.append(Header("h"), b"x") for _ in range(3))), reverse=True)
        ids += others
        ids.sort(reverse=True)
        for lease in await take(queue, 4):
            queue.leasing.ack(lease, published("index"))
            await queue.leasing.settled()

        async def listed(limit: int, after: str = "", graph: str = "", among: tuple[str, ...] = ()) -> list[str]:
            found = await queue.receipts.find(ReceiptQuery(graph=graph, among=among), limit, after, newest=True)
            return [receipt.receipt for receipt in found]

        for _ in range(2):
            assert await listed(10) == ids
            assert [*await listed(2), *await listed(3, ids[1]), *await listed(9, ids[4])] == ids
            assert await listed(10, graph="h") == others
            assert await listed(10, among=("h",)) == await listed(10, among=("x", "h*")) == others
            assert [*await listed(2, among=("h",)), *await listed(2, others[1], among=("h",))] == others
            assert await listed(10, among=("H", "hh*")) == await listed(10, graph="h", among=("x",)) == []
            newest = await queue.intake.append(header(), b"x")
            # what comes meanwhile moves no page
            assert await listed(3, ids[1]) == ids[2:5]
            ids.insert(0, newest)

    play(scenario)


def test_a_finished_delivery_with_a_callback_leaves_one(play: Callable[..., None]) -> None:
    async def scenario(queue: Queue) -> None:
        came = asyncio.Event()
        queue.callbacks.on_due = came.set
        id = await queue.intake.append(Header("g", callback="http://127.0.0.1:1/"), b"x")
        assert await queue.callbacks.due(2e9, 10) == []
        (lease,) = await take(queue)
        queue.leasing.ack(lease, Outcome(1))
        await queue.leasing.settled()
        await came.wait()
        (callback,) = await queue.callbacks.due(4e9, 10)
        assert (callback.receipt, callback.url, callback.attempts) == (id, "http://127.0.0.1:1/", 0)
        queue.callbacks.failed(id, 3e9)
        assert await queue.callbacks.due(2e9, 10) == []
        assert await queue.callbacks.next_due() == 3e9
        (callback,) = await queue.callbacks.due(4e9, 10)
        assert callback.attempts == 1
        queue.callbacks.done(id)
        assert await queue.callbacks.due(4e9, 10) == []
        assert await queue.callbacks.next_due() is None

    play(scenario)

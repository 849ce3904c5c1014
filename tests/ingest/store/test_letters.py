"""What the documents of dead letters are known by, in a store that an earlier release wrote to."""

from pathlib import Path

import pytest
from msgspec import structs

from pypes.core.identity import Named
from pypes.ingest.deadletter import LetterQuery
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import Outcome
from pypes.ingest.store.letters import covers
from tests.ingest.harness import letter, open_queue, run, take


def test_names_are_found_out_once_for_letters_of_an_earlier_release(tmp_path: Path) -> None:
    packet = b'{"fields": {"id": 7}, "meta": {"filename": "part.csv"}}'

    async def main() -> None:
        queue = await open_queue(tmp_path)
        await queue.intake.append(Header("g", documents=3, route="r", filename="all.csv"), b"x")
        (lease,) = await take(queue)
        known, bare, gone = (letter(lease.id, n) for n in range(3))
        known, bare = structs.replace(known, packet=packet), structs.replace(bare, packet=b"no JSON")
        queue.leasing.ack(lease, Outcome(failed=3, dead_letters=(known, bare, gone)))
        assert len(await queue.letters.find()) == 3
        # as an earlier release leaves it: it wrote letters without names, and removed one with them
        queue._store._writer.execute("DELETE FROM named WHERE letter <> ?", (gone.id,))
        queue._store._writer.execute("DELETE FROM dead_letters WHERE id = ?", (gone.id,))
        await queue.close()

        queue = await open_queue(tmp_path)
        named = {one.id: one.named for one in await queue.letters.find()}
        assert named == {known.id: Named("7", "part.csv", "r"), bare.id: Named(None, "all.csv", "r")}
        assert [one.id for one in await queue.letters.find(LetterQuery(document="7"))] == [known.id]
        assert queue._store.read("SELECT count(*) FROM named") == [(2,)]
        await queue.close()

    run(main())


@pytest.mark.parametrize(
    ("documents", "index", "is_covered"),
    [
        ("[]", 5, True),
        ("[3]", 3, True),
        ("[3]", 2, False),
        ("[1,2]", 2, True),
        ('{"failures": 3, "spans": [2, 2, 9, 1]}', 3, True),
        ('{"failures": 3, "spans": [2, 2, 9, 1]}', 4, False),
        ('{"failures": 3, "spans": [2, 2, 9, 1]}', 9, True),
    ],
)
def test_whether_a_letter_is_of_a_document(documents: str, index: int, is_covered: bool) -> None:
    assert covers(documents, index) == is_covered

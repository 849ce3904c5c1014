"""The documents that benchmarks load servers with are what the results say of them."""

from __future__ import annotations

import json
import statistics

from benchmarks.documents import BATCH_DOCUMENTS, batches, document, lines, singles


def test_ids_and_texts_differ() -> None:
    documents = [json.loads(document(n)) for n in range(0, 400_000, 19)]
    assert len({each["id"] for each in documents}) == len(documents)
    # a few topics of the reference quote others
    assert len({each["body"] for each in documents}) > 0.99 * len(documents)


def test_neighbours_share_no_text() -> None:
    one, next_one = (json.loads(document(n)) for n in (7, 8))
    assert not any(one["body"][at : at + 60] in next_one["title"] + next_one["body"] for at in range(800))


def test_each_has_about_a_kilobyte() -> None:
    sizes = [len(document(n)) for n in range(0, 100_000, 97)]
    assert 1000 <= statistics.mean(sizes) <= 1050
    assert min(sizes) >= 950
    assert max(sizes) <= 1200


def test_batches_compress_as_real_text_does() -> None:
    for number, batch in enumerate(batches(3)):
        text = lines(number * BATCH_DOCUMENTS)
        assert text.count(b"\n") == BATCH_DOCUMENTS - 1
        assert 3.3 <= len(text) / len(batch) <= 3.7


def test_single_documents_have_their_id_first() -> None:
    """The load generator puts the number of the request there."""
    assert all(body.startswith(b'{"id": "doc-') for body in singles(50))

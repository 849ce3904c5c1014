"""The service written by hand that throughput is compared with."""

from __future__ import annotations

import urllib3

from benchmarks.documents import SINGLE, batches
from benchmarks.measure import JSON, NDJSON_GZIP, processor_s, reference


def test_it_takes_single_documents_and_batches() -> None:
    with reference() as side:
        assert urllib3.request("POST", side.url, body=SINGLE, headers=JSON).status == 202
        assert side.documents() == 1
        assert urllib3.request("POST", side.url, body=batches(1)[0], headers=NDJSON_GZIP).status == 202
        assert side.documents() == 1001
        assert processor_s(side.process) > 0


def test_bodies_are_in_the_file_before_the_answer() -> None:
    with reference() as side:
        for _ in range(3):
            assert urllib3.request("POST", side.url, body=SINGLE, headers=JSON).status == 202
            kept = side.path.read_bytes()
            assert kept.endswith(len(SINGLE).to_bytes(4, "little") + SINGLE)
        assert len(kept) == 3 * (4 + len(SINGLE))

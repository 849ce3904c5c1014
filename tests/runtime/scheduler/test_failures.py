"""The failures of an epoch: how many are kept, and the documents of those that are kept together."""

from dataclasses import replace
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from pypes.ingest.outcome import in_spans
from pypes.runtime.scheduler.failures import MOST_FAILURES, Failure, Failures, Spans

ONE = Failure((0,), "f", "F", "rejected", "no", "trace", b'{"fields": {}}', 1, 1.0)


@given(st.lists(st.lists(st.integers(0, 40), max_size=4)), st.integers(0, 20), st.integers(0, 40))
def test_spans_name_each_document_once_in_order(failures: list[list[int]], start: int, stop: int) -> None:
    spans = Spans()
    for documents in failures:
        spans.add(tuple(sorted(set(documents))))
    assert spans.count == len(failures)
    wanted = set(chain.from_iterable(failures))
    assert set(spans) == wanted
    flat = spans.within(start, stop)
    assert list(in_spans(flat)) == sorted(document - start for document in wanted if start <= document < stop)
    # neighbours are one span
    ends = [first + count for first, count in zip(flat[::2], flat[1::2], strict=True)]
    assert all(first > end for first, end in zip(flat[2::2], ends, strict=False))


def test_beyond_so_many_of_a_delivery_those_that_failed_alike_are_one() -> None:
    failures = Failures()
    for document in range(MOST_FAILURES):
        failures.keep(replace(ONE, documents=(document,)), 0)
    failures.keep(replace(ONE, documents=(0,)), 1)
    assert len(failures) == MOST_FAILURES + 1
    for document in range(MOST_FAILURES, MOST_FAILURES + 500):
        failures.keep(replace(ONE, documents=(document,), code=("rejected", "component.raised")[document % 2]), 0)
    failures.keep(replace(ONE, documents=(1,)), 1)
    assert len(failures) == MOST_FAILURES + 4
    assert failures.has_many(0, "f", "rejected")
    assert not failures.has_many(0, "f", "timeout")
    assert not failures.has_many(1, "f", "rejected")
    one, other = failures[-3:-1]
    assert one.many is not None
    assert other.many is not None
    assert (one.code, one.packet, one.is_whole, one.many.count) == ("rejected", b"", False, 250)
    assert list(other.many) == list(range(MOST_FAILURES + 1, MOST_FAILURES + 500, 2))
    assert failures[-1].many is None

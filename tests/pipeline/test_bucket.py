"""Buckets: records that threads put, and a pipeline takes as it has room."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import pytest

from pypes import Pipeline, node
from pypes.errors import ComponentError, InvalidInput
from pypes.pipeline import Bucket, BucketClosed
from pypes.testing.node import until
from tests.pipeline.samples import add, no_three, same


def put_each(bucket: Bucket, records: Iterable[Any]) -> None:
    for record in records:
        bucket.put(record)


PLACES: list[dict[str, Any]] = [{}, {"threads": 2}]


@pytest.mark.parametrize("place", PLACES, ids=["here", "threads"])
@pytest.mark.parametrize("source", ["stream", "batch"])
def test_a_feed_puts_and_its_results_come(source: str, place: dict[str, Any]) -> None:
    threads: set[threading.Thread] = set()

    def feed(bucket: Bucket) -> None:
        threads.add(threading.current_thread())
        for number in range(200):
            bucket.put(number)

    with Pipeline(node(add, **place), buffer=10) as pipeline:
        results = pipeline.feed(feed, source=source)
        assert not threads
        assert [*results] == [*range(1, 201)]
    assert threading.current_thread() not in threads


def test_records_of_a_stream_are_worked_on_as_they_come_and_those_of_a_batch_at_its_end() -> None:
    first, go = threading.Event(), threading.Event()

    def feed(bucket: Bucket) -> None:
        bucket.put(1)
        first.set()
        assert go.wait(20)
        bucket.put(2)

    with Pipeline(add) as pipeline:
        results = pipeline.feed(feed)
        assert next(results) == 2
        go.set()
        assert [*results] == [3]
        first.clear()
        go.clear()
        results = pipeline.feed(feed, source="batch")
        with pytest.raises(TimeoutError):
            results.next(timeout_s=0.01)
        assert first.wait(20)
        with pytest.raises(TimeoutError):
            results.next(timeout_s=0.01)
        go.set()
        assert [*results] == [2, 3]


@pytest.mark.parametrize("place", PLACES, ids=["here", "threads"])
def test_put_waits_while_the_buffer_is_full(place: dict[str, Any]) -> None:
    put = 0

    def feed(bucket: Bucket) -> None:
        nonlocal put
        for number in range(100):
            bucket.put(number)
            put += 1

    with Pipeline(node(same, **place), buffer=10) as pipeline:
        for number, result in enumerate(pipeline.feed(feed)):
            assert result == number
            assert put - number <= 10


def test_a_stream_that_brings_nothing_has_dried(caplog: pytest.LogCaptureFixture) -> None:
    dried, said = threading.Event(), threading.Event()
    errors: list[BucketClosed] = []

    def feed(bucket: Bucket) -> None:
        bucket.put(1)
        assert dried.wait(20)
        try:
            bucket.put(2)
        except BucketClosed as error:
            errors.append(error)
            said.set()

    for place in PLACES:
        dried.clear()
        said.clear()
        with Pipeline(node(add, **place)) as pipeline:
            assert [*pipeline.feed(feed, idle_s=0.05)] == [2]
            dried.set()
            assert said.wait(20)
        error = errors.pop()
        assert error.code == "pipeline.dried"
        assert "the stream brought nothing for 0.05 s" in str(error)
        assert any("it has dried" in record.getMessage() for record in caplog.records)


def test_a_stream_has_not_dried_while_its_feed_waits_for_room() -> None:
    go = threading.Event()

    def slow(value: int) -> int:
        assert go.wait(20)
        return value

    def feed(bucket: Bucket) -> None:
        for number in range(5):
            bucket.put(number)

    with Pipeline(node(slow, threads=1), buffer=2) as pipeline:
        results = pipeline.feed(feed, idle_s=0.01)
        with pytest.raises(TimeoutError):
            results.next(timeout_s=0.1)
        go.set()
        assert [*results] == [*range(5)]


def test_what_a_feed_raises_comes_after_the_results_before_it() -> None:
    def feed(bucket: Bucket) -> None:
        bucket.put(1)
        raise OSError("the line is cut")

    with Pipeline(add) as pipeline:
        results = pipeline.feed(feed)
        assert next(results) == 2
        with pytest.raises(OSError, match="the line is cut"):
            next(results)


def test_a_feed_is_told_that_nobody_takes_any_more() -> None:
    told = threading.Event()

    def feed(bucket: Bucket) -> None:
        try:
            while True:
                bucket.put(1)
        except BucketClosed:
            told.set()
            raise

    with Pipeline(same, buffer=4) as pipeline:
        results = pipeline.feed(feed)
        next(results)
        results.close()
        assert told.wait(20)
        assert pipeline.push([1, 2]) == [1, 2]
        told.clear()
        results = pipeline.feed(feed)
        next(results)
    assert told.wait(20)


def test_what_a_feed_raises_afterwards_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()

    def feed(bucket: Bucket) -> None:
        bucket.put(1)
        go.wait(20)
        raise OSError("too late")

    with Pipeline(same) as pipeline:
        results = pipeline.feed(feed)
        next(results)
        results.close()
        go.set()
        until(lambda: any("after its run had ended" in r.getMessage() for r in caplog.records), 20.0, "it is in the log")


@pytest.mark.parametrize("place", PLACES, ids=["here", "threads"])
def test_threads_put_into_a_bucket(place: dict[str, Any]) -> None:
    found: list[int] = []
    with Pipeline(node(add, **place), buffer=5, track=["add"]) as pipeline:
        with pipeline.bucket(to=found.append) as bucket:
            threads = [threading.Thread(target=put_each, args=(bucket, range(50))) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        assert sorted(found) == sorted([*range(1, 51)] * 3)
        assert pipeline.tracked["add"] == found
        with pytest.raises(BucketClosed):
            bucket.put(1)
        with pipeline.bucket() as bucket:
            bucket.put(1)
        assert pipeline.tracked["add"][-1] == 2


def test_the_error_that_ended_the_run_is_raised_where_a_bucket_is_left() -> None:
    for place in PLACES:
        with Pipeline(node(no_three, **place), errors="raise", buffer=4) as pipeline:
            with pytest.raises(ValueError, match="three"), pipeline.bucket() as bucket:
                put_each(bucket, repeat(3))
            with pytest.raises(KeyError), pipeline.bucket() as bucket:
                put_each(bucket, (each["n"] for each in [{"n": 1}, {}]))
            assert pipeline.push([1]) == [1]


def test_waiting_for_room_ends_in_time_and_not_where_nobody_would_make_it() -> None:
    go = threading.Event()

    def slow(value: int) -> int:
        assert go.wait(20)
        return value

    with Pipeline(node(slow, threads=1), buffer=2) as pipeline, pipeline.bucket() as bucket:
        bucket.put(1)
        bucket.put(2)
        with pytest.raises(TimeoutError, match="no room"):
            bucket.put(3, timeout_s=0.01)
        go.set()
        bucket.put(3)
    errors: list[ComponentError] = []

    def again(value: int) -> None:
        if value:
            try:
                bucket.put(0)
                bucket.put(0)
            except ComponentError as error:
                errors.append(error)

    with Pipeline(same, buffer=1) as pipeline, pipeline.bucket(to=again) as bucket:
        bucket.put(1)
    assert errors[0].code == "pipeline.busy"
    assert "the thread that puts is the one that takes" in str(errors[0])


def test_what_a_feed_cannot_be_is_refused() -> None:
    with Pipeline(same) as pipeline:
        with pytest.raises(InvalidInput, match="source must be stream or batch, not 'queue'"):
            pipeline.feed(print, source="queue")
        with pytest.raises(InvalidInput, match="idle_s must be a number of seconds greater than zero"):
            pipeline.feed(print, idle_s=0)

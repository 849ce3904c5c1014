"""Viewers with a bounded queue each."""

from __future__ import annotations

import asyncio

from pypes.runtime.worker.viewers import MOST_WAITING_BYTES, Viewer, as_sse


def test_what_waits_goes_together_and_the_end_comes_behind_it() -> None:
    async def main() -> None:
        closed: list[bool] = []
        viewer = Viewer(lambda: closed.append(True))
        waiting = asyncio.ensure_future(viewer.next())
        await asyncio.sleep(0)
        viewer.put(b"a")
        assert await waiting == b"a"
        viewer.put(b"b")
        viewer.put(b"c")
        viewer.end()
        viewer.put(b"too late")
        assert [await viewer.next(), await viewer.next()] == [b"bc", b""]
        assert not closed
        viewer.close()
        viewer.close()
        assert closed == [True]

    asyncio.run(main())


def test_one_that_does_not_read_is_let_go_with_all_that_waits() -> None:
    async def main() -> None:
        closed: list[bool] = []
        viewer = Viewer(lambda: closed.append(True))
        chunk = b"x" * 1000
        for _ in range(MOST_WAITING_BYTES // 1000):
            viewer.put(chunk)
        assert not closed
        viewer.put(chunk)
        assert closed == [True]
        assert await viewer.next() == b""

    asyncio.run(main())


def test_what_comes_to_one_that_reads_is_sent_however_long_it_is() -> None:
    async def main() -> None:
        viewer = Viewer(lambda: None)
        long = b"x" * (MOST_WAITING_BYTES + 1)
        for _ in range(3):
            viewer.put(long)
            assert await viewer.next() == long
        viewer.put(long)
        viewer.put(b"more")
        assert await viewer.next() == b""

    asyncio.run(main())


def test_an_event_as_it_is_sent() -> None:
    assert as_sse("log", {"event": "a\nb"}, "a1-7") == b'id: a1-7\nevent: log\ndata: {"event":"a\\nb"}\n\n'
    assert as_sse("gap", {}) == b"event: gap\ndata: {}\n\n"

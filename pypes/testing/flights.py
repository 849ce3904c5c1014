"""Flight: a version of a document that one publisher of several works on, step by step."""

from __future__ import annotations

import threading
from itertools import permutations
from typing import Final

from pypes.component import Component
from pypes.testing.posts import Post
from pypes.testing.stage import Stage, watch

MOST_S: Final = 10.0

#: All orders in which two versions can be processed and completed, by the place of the version: (0, 1, 0, 1) begins with both.
INTERLEAVINGS: Final = sorted(set(permutations((0, 0, 1, 1))))


class Flight:
    """A post that runs in a publisher and a thread of its own, as in another instance, and waits after it was processed."""

    def __init__(self, stage: Stage, post: Post) -> None:
        self._stage = stage
        self._post = post
        self._is_processed = threading.Event()
        self._may_complete = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"version {post.receipt}", daemon=True)
        self._taken = 0
        self._expected = 1 if post.is_deletion else len(post.made())

    def step(self) -> None:
        """Process the post, or complete it if that is done; then compare what readers see."""
        if not self._is_processed.is_set():
            self._stage.begin(self._post)
            self._thread.start()
            self._wait(self._is_processed)
            self._stage.look(f"after {self._post} was processed")
        else:
            self._may_complete.set()
            self._thread.join(MOST_S)
            self._check()
            self._stage.end(self._post)

    def close(self) -> None:
        """End the thread, whatever it waits for."""
        self._may_complete.set()
        if self._thread.ident is not None:
            self._thread.join(MOST_S)

    def _wait(self, event: threading.Event) -> None:
        assert event.wait(MOST_S), f"{self._post} was not processed within {MOST_S} s"
        self._check()

    def _check(self) -> None:
        assert not (self._may_complete.is_set() and self._thread.is_alive()), f"{self._post} did not end within {MOST_S} s"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            publisher = self._stage.make()
            self._count(publisher)
            watch(publisher, self._after)
            self._stage.run(publisher, [self._post], self._pause)
        except BaseException as error:
            self._error = error
        finally:
            self._is_processed.set()

    def _count(self, publisher: Component) -> None:
        """Have the packets counted that a publisher takes."""
        batch, single = publisher.process_batch, publisher.process

        def process_batch(packets: list[object]) -> object:
            self._taken += len(packets)
            return batch(packets)  # type: ignore[misc]

        def process(packet: object) -> object:
            self._taken += 1
            return single(packet)

        if batch is not None:
            publisher.process_batch = process_batch  # type: ignore[assignment]
        else:
            publisher.process = process  # type: ignore[method-assign]

    def _after(self, step: str) -> None:
        if step == "commit" and self._taken >= self._expected:
            self._is_processed.set()

    def _pause(self) -> None:
        if not self._expected:
            self._is_processed.set()
        self._may_complete.wait(MOST_S)

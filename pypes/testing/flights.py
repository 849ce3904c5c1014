"""Flights: publishers at work in processes of their own, step by step, or until they die."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import permutations
from typing import Final

from pypes.component import Component
from pypes.testing.forked import Forked
from pypes.testing.posts import Post
from pypes.testing.stage import Stage, watch

#: All orders in which two versions can be processed and completed, by the place of the version: (0, 1, 0, 1) begins with both.
INTERLEAVINGS: Final = sorted(set(permutations((0, 0, 1, 1))))

#: Calls of Python that change files: a publisher may die between any two of them, in the middle of its own steps.
_CHANGES: Final = frozenset({"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"})


class Flight:
    """A post that runs in a publisher and a process of its own, as in another instance, and waits after it was processed."""

    def __init__(self, stage: Stage, post: Post) -> None:
        self._stage = stage
        self._post = post
        self._process: Forked | None = None

    def step(self) -> None:
        """Process the post, or complete it if that is done; then compare what readers see."""
        if self._process is None:
            self._stage.begin(self._post)
            self._process = Forked(self._run)
            self._process.wait_for_report()
            self._stage.look(f"after {self._post} was processed")
        else:
            self._process.go_on()
            self._process.end()
            self._stage.end(self._post)

    def close(self) -> None:
        """End the process, whatever it waits for."""
        if self._process is not None:
            self._process.kill()

    def _run(self, process: Forked) -> None:
        publisher = self._stage.make()
        left = 1 if self._post.is_deletion else len(self._post.made())

        def on_taken(count: int) -> None:
            nonlocal left
            left -= count

        def on_step(step: str) -> None:
            if step == "commit" and left == 0:
                on_taken(1)
                process.report()

        def pause() -> None:
            if left == 0:  # nothing comes
                on_taken(1)
                process.report()
            process.wait_for_parent()

        _count(publisher, on_taken)
        watch(publisher, on_step)
        self._stage.run(publisher, [self._post], pause)


def dies(stage: Stage, post: Post, steps: int) -> bool:
    """Run a post in a process of its own that is killed after so many steps; False if it ended before.

    Steps are calls of the publisher's methods, and changes of files in these. Then what readers see is compared.
    """

    def work(process: Forked) -> None:
        left = steps

        def on_step(step: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        publisher = stage.make()
        watch(publisher, on_step)
        sys.addaudithook(lambda event, args: on_step(event) if event in _CHANGES else None)
        stage.run(publisher, [post])

    stage.begin(post)
    is_dead = Forked(work).end()
    stage.look(f"after step {steps} of {post} and the end of its process")
    if is_dead:
        stage.lose(post)
    else:
        stage.end(post)
    return is_dead


def _count(publisher: Component, on_taken: Callable[[int], None]) -> None:
    """Have the packets counted that a publisher takes."""
    batch, single = publisher.process_batch, publisher.process

    def process_batch(packets: list[object]) -> object:
        on_taken(len(packets))
        return batch(packets)  # type: ignore[misc]

    def process(packet: object) -> object:
        on_taken(1)
        return single(packet)

    if batch is not None:
        publisher.process_batch = process_batch  # type: ignore[assignment]
    else:
        publisher.process = process  # type: ignore[method-assign]

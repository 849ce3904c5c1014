"""S3Objects under faults: killed before any request, or held up there while another instance publishes what is newer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.forked import Forked
from pypes.testing.posts import Post
from pypes.testing.publishers import CHANGES, NEWER, ROWS
from pypes_stores.bucket import Bucket as Requests
from pypes_stores.s3_objects import S3Objects
from tests.needed import library

from .apart import ApartStage, check_nothing_has_begun
from .s3_bucket import Bucket

library("obstore", "pypes-stores[s3]")

pytestmark = [pytest.mark.servers, pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")]

REQUESTS = ("head", "put_head", "put_part", "read", "parts", "delete")
#: Versions that are held up.
STALLED = {"parts": Post(2, ROWS), "one packet": Post(2, ("",)), "empty": Post(2, ()), "deletion": Post(2, is_deletion=True)}


class Site:
    """A new bucket, and the stage that publishes to it."""

    def __init__(self, server: str, name: str, **params: Any) -> None:
        self.bucket = Bucket(server, name)
        self.params = {"url": self.bucket.url, "options": self.bucket.options, **params}
        self.stage = ApartStage(self.publisher, self.bucket.seen, lambda text: {"text": text}, shows_both=False)

    def publisher(self) -> S3Objects:
        made = S3Objects()
        made.configure(self.params)
        return made

    def versions(self) -> set[str]:
        """The versions of which there are objects."""
        return {found.meta["version"].partition("/")[0] for found in self.bucket.objects().values()}


@pytest.fixture
def site(s3: str, request: pytest.FixtureRequest) -> Callable[..., Site]:
    check_nothing_has_begun()
    return lambda name, **params: Site(s3, f"{request.node.nodeid} {name}", **params)


def before_request(number: int, act: Callable[[], None]) -> None:
    """Call ``act`` before the request of that number; for processes that end then, or with their test."""
    left = number

    def counted(own: Callable[..., Any]) -> Callable[..., Any]:
        def request(*args: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                act()
            return own(*args)

        return request

    for name in REQUESTS:
        setattr(Requests, name, counted(getattr(Requests, name)))


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_before_any_request(site: Callable[..., Site], change: str) -> None:
    old, new = CHANGES[change]
    for number in range(1, 50):
        at = site(number)
        at.stage.post(old)
        at.stage.begin(new)

        def work(process: Forked, at: Site = at, number: int = number) -> None:
            before_request(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
            at.stage.run(at.stage.make(), [new])

        if not Forked(work).end():
            assert number > 2
            at.stage.end(new)
            return
        at.stage.look(f"killed before request {number} of {new}")
        at.stage.lose(new)
        at.stage.post(replace(new, run=2))
        # what it had left is gone as well
        assert at.versions() == {"00002"}


@pytest.mark.parametrize("newer", NEWER)
@pytest.mark.parametrize("stalled", STALLED)
def test_a_writer_that_is_held_up_before_any_request(site: Callable[..., Site], tmp_path: Path, stalled: str, newer: str) -> None:
    for number in range(1, 50):
        at = site(number)
        at.stage.post(Post(1, ("row=1", "row=4")))
        late = STALLED[stalled]
        at.stage.begin(late)

        held = tmp_path / str(number)

        def work(process: Forked, at: Site = at, number: int = number, late: Post = late, held: Path = held) -> None:
            def hold() -> None:
                held.touch()
                process.report()
                process.wait_for_parent()

            before_request(number, hold)
            at.stage.run(at.stage.make(), [late])
            if not held.exists():
                process.report()

        writer = Forked(work)
        try:
            writer.wait_for_report()
            if not held.exists():
                assert number > 2
                writer.end()
                at.stage.end(late)
                return
            at.stage.post(NEWER[newer])
            writer.go_on()
            assert not writer.end()
        finally:
            writer.kill()
        at.stage.end(late)
        assert at.versions() == {"00003"}
        at.stage.post(Post(4, ROWS[:1]))

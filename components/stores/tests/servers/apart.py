"""A stage whose publishers run in processes of their own: obstore starts threads, and what is forked then would wait for them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.testing.forked import Forked
from pypes.testing.posts import Post
from pypes.testing.stage import LIMITS, Stage


class ApartStage(Stage):
    """Forks for each run, unless it is in a fork already."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._pid = os.getpid()

    def run(
        self, publisher: Component, posts: Iterable[Post], pause: Callable[[], None] | None = None, limits: Limits = LIMITS
    ) -> int:
        if os.getpid() != self._pid:
            return super().run(publisher, posts, pause, limits)
        seen: list[str] = []
        own_look = self.look

        def look(when: str, *, is_exact: bool = False) -> None:
            try:
                own_look(when, is_exact=is_exact)
            except AssertionError as error:
                seen.append(str(error))

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "said")

            def work(process: Forked) -> None:
                self.look = look  # type: ignore[method-assign]
                removed = super(ApartStage, self).run(publisher, posts, pause, limits)
                path.write_text(json.dumps([removed, self.steps, seen]))

            assert not Forked(work).end()
            removed, self.steps, wrong = json.loads(path.read_text())
        assert not wrong, wrong[0]
        return int(removed)


def check_nothing_has_begun() -> None:
    """Raise if this process has begun to use obstore: forks would hang."""
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    assert not any(name.startswith("tokio") for name in names), (
        "obstore is in use in this process already: run this file alone, or before those that use it"
    )

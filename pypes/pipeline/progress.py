"""Progress: a bar on the terminal while results of a pipeline are taken."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final, Protocol

#: Seconds between two changes of the bar, so that it costs little where results are quick.
EVERY_S: Final = 0.2


class Counting(Protocol):
    """The results of a run, as far as they are counted."""

    @property
    def done(self) -> int:
        """Items whose results have come out."""

    #: Those of them that have failed.
    failures: int


class Bar:
    """Shows how many items are done and have failed, how fast that goes, and where it ends if that is known.

    It is on standard error; where that is no terminal, there is none.
    """

    def __init__(self, total: int | None) -> None:
        self._total = total

    def along(self, results: Counting, parts: Generator[Iterable[Any], None, None]) -> Generator[Iterable[Any], None, None]:
        """The same parts of the results, and the bar while they are asked for."""
        due = began = time.monotonic()
        with closing(parts), _shown(self._total) as show:
            try:
                for part in parts:
                    yield part
                    now = time.monotonic()
                    if now >= due:
                        due = now + EVERY_S
                        show(results.done, results.failures, now - began)
            finally:
                show(results.done, results.failures, time.monotonic() - began)


@contextmanager
def _shown(total: int | None) -> Iterator[Callable[[int, int, float], None]]:
    # when it is needed: it takes a while to load
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, failed, passed_s: None
        return
    left = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    # print() writes above the bar, unless it leads elsewhere
    with Progress(
        BarColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        left,
        console=console,
        redirect_stdout=_is_terminal(sys.stdout),
        refresh_per_second=1 / EVERY_S,
    ) as progress:
        task = progress.add_task("", total=total, words=_words(0, total, 0, 0.0))

        def show(done: int, failed: int, passed_s: float) -> None:
            progress.update(task, completed=done, words=_words(done, total, failed, passed_s))

        yield show


def _words(done: int, total: int | None, failed: int, passed_s: float) -> str:
    items = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    noun = "item" if (done if total is None else total) == 1 else "items"
    return f"{items} {noun}, {done / max(passed_s, 1e-9):,.0f}/s, {failed} failed"


def _is_terminal(file: Any) -> bool:
    return file is not None and bool(file.isatty())


def total_of(items: Iterable[Any] | None, inputs: Mapping[str, Iterable[Any]]) -> int | None:
    """The number of items that a user gave, or of those of each entry, if all of them have a length."""
    lengths = [_length_of(each) for each in ([items] if items is not None else inputs.values())]
    return None if None in lengths else min(length for length in lengths if length is not None)


def _length_of(items: Any) -> int | None:
    try:
        return len(items)
    except Exception:  # there is none, or the user's own cannot tell
        return None

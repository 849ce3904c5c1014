"""Work for tests of executors; a module of its own, because pool workers import it, and they need no pytest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pypes.placement.executor import Outcome


class Lives:
    """Writes down in a folder when it is set up, called and closed; an item is called with the name of this pool worker."""

    def __init__(self, folder: str, call: Callable[[str, Any], Any] = lambda name, item: (name, item)) -> None:
        self._folder = Path(folder)
        self._call = call
        self._name = ""

    def setup(self) -> None:
        self._name = f"{os.getpid()}-{threading.get_ident()}"
        self._note("setup")

    def run(self, item: Any) -> Any:
        assert self._name, "set up first"
        return self._call(self._name, item)

    def close(self) -> None:
        self._note("close")

    def _note(self, what: str) -> None:
        with (self._folder / what).open("a") as file:
            file.write(f"{self._name}\n")


class Sends:
    """Sends the numbers below an item, which is its result; raises after that for 13."""

    def __init__(self) -> None:
        self.send_part: Callable[[Any], None] = print  # replaced before anything is sent

    def setup(self) -> None:
        """Nothing to get ready."""

    def run(self, item: Any) -> Any:
        for number in range(item):
            self.send_part(number)
        if item == 13:
            raise ValueError("thirteen")
        return item

    def close(self) -> None:
        """Nothing to let go of."""


#: An item that :class:`Batches` tells nothing of.
FORGOTTEN = 404


class Batches:
    """Tells of each item with how many it was run; raises for a negative one. Sends the sum of a batch, over the first item."""

    def __init__(self) -> None:
        self.send_part: Callable[[Any], None] = print  # replaced before anything is sent

    def setup(self) -> None:
        """Nothing to get ready."""

    def run(self, item: int) -> tuple[int, int]:
        if item < 0:
            raise ValueError(str(item))
        return item, 1

    def run_batch(self, items: Sequence[int]) -> list[Outcome]:
        self.send_part(sum(items))
        return [Outcome((self.run(item)[0], len(items))) for item in items if item != FORGOTTEN]

    def close(self) -> None:
        """Nothing to let go of."""


class Never:
    """Cannot be set up."""

    def setup(self) -> None:
        raise LookupError("no model")

    def run(self, item: Any) -> Any:
        raise AssertionError("it is not set up")

    def close(self) -> None:
        """Nothing to let go of."""


def wait_for(folder: str, name: str, mark: str = "") -> str:
    """Returns ``name`` when a file of this name is there; the file ``mark`` says that it waits."""
    if mark:
        Path(folder, mark).touch()
    while not Path(folder, name).exists():
        pass
    return name


def fail(item: Any) -> Any:
    """Raises for every third item."""
    if item % 3 == 1:
        raise ValueError(f"bad {item}")
    return item

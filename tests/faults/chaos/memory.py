"""Resident memory of a node's processes over time."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

from pypes.testing.node import Node


class Memory:
    """Samples every process of a node while the block it manages runs; :attr:`samples` is role → (seconds, largest in bytes)."""

    def __init__(self, node: Node, every_s: float = 0.5) -> None:
        self.samples: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._node = node
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every_s):
            at = time.monotonic() - self._started
            for role, processes in self._node.roles().items():
                sizes = []
                for process in processes:
                    with suppress(psutil.NoSuchProcess):
                        sizes.append(process.memory_info().rss)
                if sizes:
                    self.samples[role].append((at, max(sizes)))

    def peaks(self) -> dict[str, float]:
        """Largest process of each role, in MB."""
        return {role: max(size for _, size in found) / 1e6 for role, found in self.samples.items()}

    def growth(self, role: str) -> float:
        """Median of the last third of the samples over that of the second third (the first is for warming up)."""
        sizes = [size for _, size in self.samples[role]]
        third = len(sizes) // 3
        return statistics.median(sizes[-third:]) / statistics.median(sizes[third : 2 * third])

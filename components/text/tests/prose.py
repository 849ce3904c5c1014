"""Prose for tests: sentences and paragraphs of made-up words, the same for the same seed."""

from __future__ import annotations

from random import Random


class Prose:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        letters = "abcdefghijklmnoprstu"
        self._words = ["".join(self.random.choices(letters, k=self.random.randint(2, 10))) for _ in range(500)]

    def sentence(self) -> str:
        return " ".join(self.random.choices(self._words, k=self.random.randint(4, 20))).capitalize() + "."

    def paragraph(self, mean: int = 400) -> str:
        left = max(20.0, self.random.lognormvariate(0, 0.6) * mean)
        said: list[str] = []
        while left > 0:
            said.append(self.sentence())
            left -= len(said[-1])
        return " ".join(said)

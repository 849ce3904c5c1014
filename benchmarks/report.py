"""One line of results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A claim, what was measured, and how it compares with what it must and what it might reach."""

    claim: str
    figures: str
    value: float
    must: float
    stretch: float
    more_is_better: bool = False
    unit: str = "x"
    #: Measured before the work on speed began, where the claim is as old.
    before: str = ""

    @property
    def verdict(self) -> str:
        if self.more_is_better:
            return "stretch" if self.value >= self.stretch else "must" if self.value >= self.must else "**short**"
        return "stretch" if self.value <= self.stretch else "must" if self.value <= self.must else "**short**"

    def row(self) -> str:
        sign = "≥" if self.more_is_better else "≤"
        return (
            f"| {self.claim} | {self.figures} | {self.before} | {self.value:.2f}{self.unit} |"
            f" {sign} {self.must:g}{self.unit} | {sign} {self.stretch:g}{self.unit} | {self.verdict} |"
        )

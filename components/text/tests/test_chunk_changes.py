"""Chunks stay what they are where a text does not change."""

from __future__ import annotations

from typing import Any

from pypes import Packet

from .prose import Prose
from .test_chunk import built, texts


def changed_texts(old: list[str], new: list[str], **params: Any) -> int:
    before, after = ({*texts(Packet({"text": "\n\n".join(each)}), **params)} for each in (old, new))
    return len(after - before)


def test_a_changed_paragraph_of_a_hundred_changes_at_most_three_chunks() -> None:
    """The bound holds but for one or two changes of a thousand; the documents are the same in each run of this test."""
    prose = Prose(1)
    changes: list[int] = []
    for n in range(60):
        old = [prose.paragraph() for _ in range(100)]
        new, at = [*old], prose.random.randrange(100)
        if n % 3 == 0:
            new[at] = prose.paragraph()
        elif n % 3 == 1:
            del new[at]
        else:
            new.insert(at, prose.paragraph())
        changes.append(changed_texts(old, new))
    assert max(changes) <= 3
    assert sum(changes) < len(changes) * 1.6


def test_other_sections_are_not_touched_at_all() -> None:
    prose = Prose(2)
    sections = [[(f"Section {n}", "heading", 1), *((prose.paragraph(),) for _ in range(12))] for n in range(4)]
    before = {*texts(built(*(block for section in sections for block in section)))}
    sections[1][5:8] = [(prose.paragraph(),)]
    after = texts(built(*(block for section in sections for block in section)))
    changed = [n for n, text in enumerate(after) if text not in before]
    starts = [n for n, text in enumerate(after) if text.startswith("Section")]
    assert changed
    assert starts[1] <= min(changed)
    assert max(changed) < starts[2]

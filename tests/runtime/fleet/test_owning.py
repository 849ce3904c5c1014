"""Owners of texts in a fleet."""

from __future__ import annotations

from collections import Counter

from pypes.runtime.fleet.owning import owner, ranked

NAMES = ["a:1", "b:1", "c:1", "d:1"]
TEXTS = [f"key-{number}" for number in range(2000)]


def test_everybody_finds_the_same_owner() -> None:
    for text in TEXTS[:50]:
        assert ranked(text, NAMES) == ranked(text, reversed(NAMES))
        assert owner(text, NAMES) == ranked(text, NAMES)[0]
    assert all(400 < count < 600 for count in Counter(owner(text, NAMES) for text in TEXTS).values())


def test_who_joins_takes_only_its_own_from_the_next_in_rank() -> None:
    for text in TEXTS:
        before, now = owner(text, NAMES), ranked(text, [*NAMES, "e:1"])
        assert before == (now[1] if now[0] == "e:1" else now[0])

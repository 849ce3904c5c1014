"""Progress is seen in other processes."""

from __future__ import annotations

import os

import pytest

from pypes.placement.progress import ALL, NUMBERS, InHand, Progress


def idle(progress: Progress) -> bool:
    return progress.in_hand is None and progress.begun == 0


@pytest.mark.parametrize("item", [(0, 0, 0), (1, 2, 3), ((1 << 64) - 1, NUMBERS - 1, ALL)])
def test_the_item_in_hand_is_seen(item: tuple[int, int, int]) -> None:
    ours, fd = Progress.create()
    theirs = Progress(fd)
    os.close(fd)
    assert idle(ours)
    theirs.begin(*item)
    assert ours.in_hand == InHand(*item)
    assert ours.begun == 1
    theirs.end()
    assert idle(ours)
    theirs.begin(*item)
    assert ours.begun == 2

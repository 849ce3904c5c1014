"""What is remembered of one document decides about the next version, whatever order versions come and end in."""

from __future__ import annotations

import pytest

from pypes.core.identity import Version
from pypes_basic.remembered import Remembered, arrived, concluded

V1, V2, V3 = (Version(f"r{n}", 0, 100) for n in (1, 2, 3))
OLD, NEW = b"old", b"new"


class Story:
    """One document, and the filter at which its versions come past; ``D`` is the digest of what lies behind that."""

    def __init__(self) -> None:
        self.known: Remembered | None = None
        self.synced = 0

    def comes(self, version: Version, content: bytes, behind: str = "D") -> bool | None:
        passes, now, must_last = arrived(self.known, version, behind, content)
        self.known = Remembered.decode(now.encode()) if now is not None else None
        self.synced += must_last
        return passes

    def ends(self, version: Version, *, is_whole: bool = True, behind: str = "D") -> None:
        _, self.known, must_last = concluded(self.known, version, behind, is_whole=is_whole)
        self.synced += must_last

    def published(self, version: Version, content: bytes, behind: str = "D") -> bool | None:
        passes = self.comes(version, content, behind)
        self.ends(version, behind=behind)
        return passes


@pytest.fixture
def story() -> Story:
    return Story()


def test_the_same_again_is_held_back_and_another_one_passes(story: Story) -> None:
    assert story.published(V1, OLD)
    assert not story.published(V2, OLD)
    assert not story.published(V2, OLD)
    assert story.synced == 0
    assert story.published(V3, NEW)
    assert story.synced == 1


def test_it_is_remembered_only_when_it_is_done(story: Story) -> None:
    assert story.comes(V1, OLD)
    assert story.comes(V2, OLD)
    story.ends(V1)
    assert story.comes(V3, OLD)
    story.ends(V3)
    assert story.comes(V3._replace(run=200), OLD), "it is this one that is published, and its receipt shall say so"
    assert story.synced == 0


@pytest.mark.parametrize("is_first", [True, False])
def test_a_newer_version_in_flight_is_the_one_that_is_remembered(story: Story, is_first: bool) -> None:
    story.published(V1, OLD)
    assert story.comes(V2, NEW)
    assert story.comes(V3, OLD)
    for version in (V2, V3) if is_first else (V3, V2):
        story.ends(version)
    assert not story.comes(Version("r4"), OLD)
    assert story.comes(Version("r5"), NEW)


def test_an_older_one_beside_it_leaves_nobody_sure(story: Story) -> None:
    assert story.comes(V2, NEW)
    assert story.comes(V1, OLD)
    story.ends(V2)
    story.ends(V1)
    assert story.comes(V3, NEW)


def test_an_older_one_than_what_is_whole_is_held_back(story: Story) -> None:
    story.published(V3, NEW)
    assert not story.comes(V2, OLD)
    assert not story.comes(V1, b"")
    assert not story.comes(Version("r4"), NEW)


def test_one_that_is_held_back_makes_those_before_it_old(story: Story) -> None:
    story.published(V1, OLD)
    assert not story.published(V3, OLD)
    assert not story.comes(V2, NEW)


def test_a_failure_forgets(story: Story) -> None:
    story.published(V1, OLD)
    assert story.comes(V2, NEW)
    story.ends(V2, is_whole=False)
    assert story.comes(V3, OLD)
    story.ends(V3)
    assert not story.published(Version("r4"), OLD)
    story.ends(Version("r4"), is_whole=False)
    assert story.synced == 2
    assert story.comes(Version("r5"), OLD)


def test_a_deletion_passes_and_forgets(story: Story) -> None:
    story.published(V1, OLD)
    assert story.published(V2, b"")
    assert story.published(V3, b"")
    assert story.published(Version("r4"), OLD)
    assert not story.published(Version("r5"), OLD)


def test_another_graph_behind_it_forgets_and_so_does_the_way_back(story: Story) -> None:
    story.published(V1, OLD)
    assert story.published(V2, OLD, "E")
    assert story.published(V3, OLD, "D")
    assert story.synced == 2
    assert not story.published(Version("r4"), OLD, "D")


def test_what_was_not_posted_meanwhile_is_still_known_on_the_way_back(story: Story) -> None:
    story.published(V1, OLD, "D")
    assert not story.published(V2, OLD, "D")


def test_one_that_ended_under_another_graph_than_it_came_under_is_not_remembered(story: Story) -> None:
    assert story.comes(V1, OLD, "D")
    story.ends(V1, behind="E")
    assert story.comes(V2, OLD, "E")


def test_what_went_another_way_is_forgotten(story: Story) -> None:
    story.published(V1, OLD)
    story.ends(V2)
    assert story.synced == 1
    assert story.comes(V3, OLD)


def test_a_run_that_went_another_way_keeps_an_older_one_from_being_remembered(story: Story) -> None:
    assert story.comes(V1, OLD)
    story.ends(V2, is_whole=False)
    story.ends(V1)
    assert story.comes(V3, OLD)


def test_one_that_went_another_way_beside_one_that_is_held_back_is_found_out(story: Story) -> None:
    story.published(V1, OLD)
    assert not story.comes(V3, OLD)
    story.ends(V2)
    story.ends(V3)
    assert story.synced == 1
    assert story.published(Version("r4"), OLD)
    assert not story.comes(Version("r5"), OLD)


def test_several_packets_of_one_version_are_never_remembered(story: Story) -> None:
    for version in (V1, V2):
        assert story.comes(version, OLD)
        assert story.comes(version, NEW)
        story.ends(version)
    assert story.comes(V3, OLD)
    assert story.comes(V3, OLD)
    story.ends(V3)
    assert not story.comes(Version("r4"), OLD)
    assert story.comes(Version("r4"), NEW)
    story.ends(Version("r4"))
    assert story.comes(Version("r5"), OLD)


def test_a_run_of_the_same_version_passes_and_the_next_version_is_held_back(story: Story) -> None:
    again = V1._replace(run=200)
    assert story.comes(V1, OLD)
    assert story.comes(again, OLD)
    story.ends(V1)
    story.ends(again)
    assert story.comes(V1._replace(run=300), OLD)
    story.ends(V1._replace(run=300))
    assert not story.comes(V2, OLD)


def test_outside_of_a_node_the_order_is_that_of_arrival(story: Story) -> None:
    none = Version("")
    assert story.published(none, OLD)
    assert not story.published(none, OLD)
    assert story.published(none, NEW)
    assert story.published(none, OLD)


def test_what_ends_without_being_known_leaves_nothing(story: Story) -> None:
    story.ends(V1)
    assert story.known is None
    assert Remembered.decode(b"of another release") is None

"""PublisherSuite: a right publisher passes it, and wrong ones do not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from pypes.packet import Packet
from pypes.testing import PublisherSuite, forked
from tests.testing import shelves


class TestShelf(PublisherSuite):
    component = shelves.Shelf
    shows_both = True

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        return shelves.read(folder)


#: Publishers that are wrong in one way, with a check that each fails, its arguments, and what that says.
WRONG: Final[tuple[tuple[type[shelves.Shelf], str, tuple[Any, ...], str], ...]] = (
    (shelves.RemovesFirst, "a_newer_version_replaces_the_older_one", ("the same parts",), "no whole version"),
    (shelves.RemovesFirst, "a_version_that_fails_in_part_leaves_the_old_one_whole", (("row=3",),), "no whole version"),
    (shelves.RemovesFirst, "a_crash_between_any_two_steps", ("parts",), "the end of its process"),
    (shelves.OverwritesParts, "an_attachment_that_fails_leaves_the_old_mail_whole", (), "no whole version"),
    (shelves.WithoutGuard, "an_older_version_never_replaces_a_newer_one", ("parts", "version"), "still sees"),
    (shelves.ForgetsDeleted, "an_older_version_never_replaces_a_newer_one", ("deletion", "part"), "still sees"),
    (shelves.ForgetsDeleted, "two_instances_at_work_on_two_versions", ("deletion", (1, 1, 0, 0)), "still sees"),
    (shelves.TakesAllForWhole, "a_version_that_fails_in_part_leaves_the_old_one_whole", (("row=1",),), "no whole version"),
    (shelves.TakesAllForWhole, "the_replay_of_a_part_removes_nothing", (), "no whole version"),
    (shelves.KeepsDeleted, "a_newer_version_replaces_the_older_one", ("deletion",), "still sees"),
    (shelves.NeverRemoves, "a_newer_version_replaces_the_older_one", ("fewer parts",), "still sees"),
    (shelves.NeverRemoves, "a_replay_that_splits_differently_leaves_nothing_of_the_run_before", (), "still sees"),
    (shelves.NeverRemoves, "older_parts_that_come_first_go_with_a_newer_version", ("empty",), "still sees"),
    (shelves.NeverRemoves, "several_versions_in_one_delivery", (), "still sees"),
    (shelves.SparesNew, "several_versions_in_one_turn", ("fewer parts", True), "still sees"),
    (shelves.SparesNew, "several_versions_in_one_turn", ("deletion", True), "still sees"),
    (shelves.CountsWhatItKeeps, "being_told_twice_is_as_being_told_once", ("no parts",), "1 parts more"),
    (shelves.CountsWhatItKeeps, "removed_parts_are_counted", (), "[1, "),
    (shelves.CountsWhatItKeeps, "deleting_what_is_not_there", (), ""),
    (shelves.TellsRunsApart, "the_replay_of_a_part_removes_nothing", (), "twice"),
    (shelves.TellsRunsApart, "documents_without_an_id_stay", (), "twice"),
    (shelves.NumbersParts, "a_step_that_raises_is_tried_again", ("parts",), "twice"),
    (shelves.ForgetsTheRest, "a_replay_changes_nothing", ("more parts",), "no whole version"),
    (shelves.ForgetsTheRest, "a_first_version_that_fails_in_part_is_there_as_far_as_it_came", (), "not to be seen"),
    (shelves.WithoutRoutes, "the_same_id_under_two_routes_is_two_documents", (), ""),
    (shelves.JoinsRouteAndId, "the_same_id_under_two_routes_is_two_documents", (), ""),
    (shelves.HasNoNames, "documents_without_an_id_stay", (), "have gone"),
    (shelves.WritesIds, "odd_ids", (), "no whole version"),
)


@pytest.mark.parametrize(
    ("component", "check", "arguments", "says"), WRONG, ids=[f"{wrong[0].__name__}-{wrong[1]}" for wrong in WRONG]
)
def test_a_wrong_publisher_fails(
    component: type[shelves.Shelf], check: str, arguments: tuple[Any, ...], says: str, tmp_path: Path
) -> None:
    wrong = type("Wrong", (TestShelf,), {"component": component})()
    with pytest.raises(AssertionError) as caught:
        getattr(wrong, f"test_{check}")(tmp_path, *arguments)
    assert says in str(caught.value)


def test_every_check_is_failed_by_a_wrong_publisher() -> None:
    checks = {name.removeprefix("test_") for name in vars(PublisherSuite) if name.startswith("test_")}
    assert checks == {check for _, check, _, _ in WRONG}


def test_readers_that_see_two_versions_at_once_must_be_told_so(tmp_path: Path) -> None:
    class Suite(TestShelf):
        shows_both = False

    Suite().test_a_newer_version_replaces_the_older_one(tmp_path / "one", "one packet")
    with pytest.raises(AssertionError, match="parts of several versions"):
        Suite().test_a_newer_version_replaces_the_older_one(tmp_path / "parts", "other parts")


def test_a_publisher_without_complete_is_none_of_whole_documents(tmp_path: Path) -> None:
    class Deaf(shelves.Shelf):
        complete = None  # type: ignore[assignment]

    class Suite(TestShelf):
        component = Deaf

    with pytest.raises(AssertionError, match="Deaf has no complete"):
        Suite().test_odd_ids(tmp_path)


def test_a_publisher_that_fails_is_told_from_one_that_shows_what_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Fails(shelves.Shelf):
        def put_part(self, place: Path, packet: Packet, version: Any) -> None:
            if version.receipt == "00003":
                raise OSError("no room")
            super().put_part(place, packet, version)

    class Suite(TestShelf):
        component = Fails

    with pytest.raises(AssertionError, match=r"the publisher fails: .*no room"):
        Suite().test_a_newer_version_replaces_the_older_one(tmp_path / "here", "the same parts")
    # the process dies before it can fail, until it fails
    with pytest.raises(AssertionError, match=r"the publisher fails: .*no room"):
        Suite().test_a_crash_between_any_two_steps(tmp_path / "there", "parts")


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    own = psutil.Process()
    before = own.num_fds(), own.num_threads(), own.children()
    TestShelf().test_two_instances_at_work_on_two_versions(tmp_path / "two", "parts", (0, 1, 1, 0))
    TestShelf().test_a_crash_between_any_two_steps(tmp_path / "crash", "empty")
    assert (own.num_fds(), own.num_threads(), own.children()) == before


def test_a_process_that_does_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    before = psutil.Process().children()
    monkeypatch.setattr(forked, "MOST_S", 0.01)
    with pytest.raises(AssertionError, match=r"did nothing for 0\.01 s"):
        forked.Forked(forked.Forked.wait_for_parent).wait_for_report()
    assert psutil.Process().children() == before


def test_a_process_that_ends_before_it_reports_is_told_of() -> None:
    before = psutil.Process().children()
    with pytest.raises(AssertionError, match="without a report"):
        forked.Forked(lambda process: None).wait_for_report()
    assert psutil.Process().children() == before

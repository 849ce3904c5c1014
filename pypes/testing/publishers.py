"""The behaviour every publisher of whole documents must show, as a pytest class to inherit from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.testing.flights import INTERLEAVINGS, Flight, dies
from pypes.testing.posts import Post
from pypes.testing.stage import Stage

ROWS: Final = ("row=1", "row=2", "row=3")
#: A mail, its attachments, and a chunk of one.
MAIL: Final = ("", "attachment=1", "attachment=2/chunk=4")

#: A first version, and what replaces it.
CHANGES: Final = {
    "the same parts": (Post(1, ROWS), Post(2, ROWS)),
    "fewer parts": (Post(1, ROWS), Post(2, ROWS[:1])),
    "more parts": (Post(1, ROWS[:1]), Post(2, ROWS)),
    "other parts": (Post(1, ROWS), Post(2, ("chunk=1", "chunk=2"))),
    "no parts": (Post(1, ROWS), Post(2, ())),
    "parts of an empty one": (Post(1, ()), Post(2, ROWS)),
    "one packet": (Post(1, ("",)), Post(2, ("",))),
    "parts of one packet": (Post(1, ("",)), Post(2, ROWS)),
    "one packet of parts": (Post(1, ROWS), Post(2, ("",))),
    "a mail": (Post(1, MAIL), Post(2, MAIL[:2])),
    "deletion": (Post(1, ROWS), Post(2, is_deletion=True)),
    "deletion of one packet": (Post(1, ("",)), Post(2, is_deletion=True)),
}

#: Versions that follow one of three rows, and make it old.
NEWER: Final = {
    "parts": Post(3, ROWS[:2]),
    "one packet": Post(3, ("",)),
    "empty": Post(3, ()),
    "deletion": Post(3, is_deletion=True),
}

#: Packets that come late, of a version between those two.
LATE: Final = {
    "version": Post(2, ROWS),
    "one packet": Post(2, ("",)),
    "empty version": Post(2, ()),
    "deletion": Post(2, is_deletion=True),
    "version that fails": Post(2, ROWS, fails=("row=3",)),
    "part": Post(2, run=2, of="row=5"),
}

#: Versions of one document that come to a publisher together.
TOGETHER: Final = {
    **CHANGES,
    "deleted and posted again": (Post(1, ROWS), Post(2, is_deletion=True), Post(3, ROWS[1:2])),
    "the older one last": (Post(2, ROWS[:1]), Post(1, ROWS)),
    "the deletion first": (Post(2, is_deletion=True), Post(1, ROWS)),
    "one that fails": (Post(1, ROWS), Post(2, ROWS[:2], fails=ROWS[1:2]), Post(3, ROWS[:1])),
    "two runs": (Post(1, ROWS), Post(1, ("chunk=1", "chunk=2"), run=2)),
}

#: Ids with characters, lengths and likenesses over which destinations stumble.
ODD_IDS: Final = (
    *("a b", " a b", "a b ", "A B", "a/b", "a/row=1", "row=1", "a%2Fb", "a~2", "a=b&c?d#e", "..", ".", "/", "\\", "*", "%", "_"),
    *("'; DROP TABLE documents; --", '"a"', "{}", "a\nb", "a\tb", "a\x00b", "a", "0", "00", "null", "-"),
    *("\u00e9", "e\u0301", "\u6587\u4ef6", "\U0001f600", "\u202ea", "x" * 1990 + "1", "x" * 1990 + "2"),
)


class PublisherSuite:
    """Checks that whole documents are replaced, shrunk and deleted: ``class TestShelf(PublisherSuite): component = Shelf``.

    ``params`` are its parameters; relative paths in them lead into a folder that is new in each test. :meth:`seen` reads the
    destination. Each test runs real publishers on the real scheduler, small waves at a time, and compares what a reader sees
    after each of their steps (``process_batch`` or ``process``, ``complete``, ``commit``).
    """

    component: ClassVar[type[Component]]
    params: ClassVar[dict[str, Any]] = {}
    #: True if readers may see parts of a newer version beside an older one until it is whole, as without transactions.
    shows_both: ClassVar[bool] = False
    #: False if ``complete`` does not return how many parts it removed, as where nothing is ever removed.
    counts_removed: ClassVar[bool] = True

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        """All that a reader of the destination sees now: route, id of the document, part, and text of each packet.

        A document without an id may have any name, or none. For a log, it is what folding it gives.
        """
        raise NotImplementedError("return what a reader of the destination sees: (route, document id, part, text) of each packet")

    def parameters(self, folder: Path) -> Mapping[str, Any]:
        """The parameters for a test; override it where a destination has no folder, but needs a name of its own in each test."""
        return self.params

    def fields(self, text: str) -> Mapping[str, Any]:
        """The fields of a packet with that text."""
        return {"text": text}

    def stage(self, folder: Path) -> Stage:
        """A new, empty destination."""
        folder.mkdir(parents=True, exist_ok=True)
        return Stage(lambda: self._make(folder), lambda: self.seen(folder), self.fields, shows_both=self.shows_both)

    def _make(self, folder: Path) -> Component:
        made = self.component()
        made.configure(self.parameters(folder))
        made.data_dir = str(folder)
        assert made.complete is not None, f"{self.component.__name__} has no complete: it never learns that a document is whole"
        return made

    # -- versions ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_newer_version_replaces_the_older_one(self, tmp_path: Path, change: str) -> None:
        stage = self.stage(tmp_path)
        old, new = CHANGES[change]
        stage.post(old)
        stage.post(new)
        stage.post(replace(old, receipt=3))
        stage.post(replace(new, receipt=4))

    def test_several_versions_in_one_delivery(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, ROWS), Post(1, ROWS[:2], index=1), Post(1, ROWS, id="y", index=2), Post(1, ROWS[:1], index=3))
        stage.post(Post(2, ()), Post(2, ROWS[:1], id="y", index=1))

    @pytest.mark.parametrize("versions", TOGETHER)
    @pytest.mark.parametrize("is_new", [True, False], ids=["new", "known"])
    def test_several_versions_in_one_turn(self, tmp_path: Path, versions: str, is_new: bool) -> None:
        stage = self.stage(tmp_path)
        if not is_new:
            stage.post(Post(0, ("row=1", "row=7")))
        stage.post(Post(1, ROWS, id="y", index=9), *TOGETHER[versions], limits=Limits())
        stage.post(Post(4, ("row=1", "chunk=1")))

    def test_deleting_what_is_not_there(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, id="y"))
        assert not stage.post(Post(2, is_deletion=True))
        stage.post(Post(3))

    def test_removed_parts_are_counted(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        removed = [
            stage.post(post)
            for post in (Post(1, ROWS), Post(2, ROWS[:1]), Post(3, ROWS), Post(4, is_deletion=True), Post(5, ROWS))
        ]
        if self.counts_removed:
            # what is replaced in place may count, or not
            least, most = (0, 2, 0, 3, 0), (0, 3, 1, 3, 0)
            assert all(a <= count <= b for a, count, b in zip(least, removed, most, strict=True)), removed

    # -- failures ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fails", [ROWS[:1], ROWS[1:2], ROWS[2:], ROWS])
    def test_a_version_that_fails_in_part_leaves_the_old_one_whole(self, tmp_path: Path, fails: tuple[str, ...]) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, ("row=1", "row=2", "row=3", "row=4")))
        assert not stage.post(Post(2, ROWS, fails=fails))
        stage.post(Post(3, ROWS[:2]))

    def test_an_attachment_that_fails_leaves_the_old_mail_whole(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, MAIL))
        stage.post(Post(2, MAIL, fails=MAIL[1:2]))
        stage.post(Post(3, MAIL[:1]))

    def test_a_first_version_that_fails_in_part_is_there_as_far_as_it_came(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        stage.post(first := Post(1, ROWS, fails=ROWS[1:2]))
        assert {tuple(each) for each in self.seen(tmp_path)} == first.made(), "what was published is not to be seen"
        stage.post(replayed := Post(1, run=2, of=ROWS[1]))
        assert {tuple(each) for each in self.seen(tmp_path)} == first.made() | replayed.made(), (
            "a replayed part is not to be seen"
        )
        stage.post(Post(2, ROWS[:1]))

    def test_the_replay_of_a_part_removes_nothing(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, ROWS))
        assert not stage.post(Post(1, run=2, of="row=2"))
        stage.post(Post(2, ROWS, fails=ROWS[1:2]))
        assert not stage.post(Post(2, run=2, of="row=2"))
        stage.post(Post(3, ROWS[:1]))

    # -- once more -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("change", CHANGES)
    def test_a_replay_changes_nothing(self, tmp_path: Path, change: str) -> None:
        stage = self.stage(tmp_path)
        for post in CHANGES[change]:
            stage.post(post)
            stage.post(replace(post, run=2))

    def test_a_replay_that_splits_differently_leaves_nothing_of_the_run_before(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, ROWS))
        stage.post(Post(1, ("chunk=1", "chunk=2"), run=2))
        stage.post(Post(1, ROWS[:2], run=3))

    @pytest.mark.parametrize("change", CHANGES)
    def test_being_told_twice_is_as_being_told_once(self, tmp_path: Path, change: str) -> None:
        stage = self.stage(tmp_path)
        for post in CHANGES[change]:
            stage.post(post, is_told_twice=True)

    @pytest.mark.parametrize("newer", NEWER)
    def test_a_step_that_raises_is_tried_again(self, tmp_path: Path, newer: str) -> None:
        step = steps = 1
        while step <= steps:
            stage = self.stage(tmp_path / str(step))
            stage.post(Post(1, ROWS), Post(1, ROWS, id=None, index=1))
            stage.post(NEWER[newer], Post(3, ("",), id=None, index=1), raises_at=step)
            steps = stage.steps
            step += 1

    # -- older versions ------------------------------------------------------------------------------------

    @pytest.mark.parametrize("newer", NEWER)
    @pytest.mark.parametrize("late", LATE)
    def test_an_older_version_never_replaces_a_newer_one(self, tmp_path: Path, newer: str, late: str) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, ROWS))
        stage.post(NEWER[newer])
        stage.post(LATE[late])
        stage.post(Post(2, run=3, of="row=6"))
        stage.post(Post(4, ROWS[:1]))

    @pytest.mark.parametrize("newer", NEWER)
    def test_older_parts_that_come_first_go_with_a_newer_version(self, tmp_path: Path, newer: str) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, run=2, of="row=5"))
        stage.post(NEWER[newer])

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    @pytest.mark.parametrize("newer", NEWER)
    @pytest.mark.parametrize("order", INTERLEAVINGS, ids=str)
    def test_two_instances_at_work_on_two_versions(self, tmp_path: Path, newer: str, order: tuple[int, ...]) -> None:
        stage = self.stage(tmp_path)
        stage.post(Post(1, ("row=1", "row=4")))
        flights = [Flight(stage, Post(2, ROWS)), Flight(stage, NEWER[newer])]
        try:
            for number in order:
                flights[number].step()
        finally:
            for flight in flights:
                flight.close()
        stage.post(Post(4, ROWS[:1]))

    # -- crashes -------------------------------------------------------------------------------------------

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    @pytest.mark.parametrize("newer", NEWER)
    def test_a_crash_between_any_two_steps(self, tmp_path: Path, newer: str) -> None:
        steps, is_dead, post = 0, True, NEWER[newer]
        while is_dead:
            steps += 1
            assert steps < 200, "the publisher takes more than 200 steps for a small document"
            stage = self.stage(tmp_path / str(steps))
            stage.post(Post(1, ROWS))
            is_dead = dies(stage, post, steps)
            stage.post(replace(post, run=2))

    # -- documents -----------------------------------------------------------------------------------------

    def test_the_same_id_under_two_routes_is_two_documents(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        routes = ("docs", "mail", "", "docs/x", "Docs")
        stage.post(*(Post(1, ROWS, route=route) for route in routes))
        stage.post(Post(2, ROWS[:1], route="mail"), Post(2, ROWS, id="x/x"))
        stage.post(Post(3, is_deletion=True), Post(3, ROWS[:2], route=""))

    def test_documents_without_an_id_stay(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        places = [ROWS, ROWS, ("",)]
        posts = [Post(1, parts, id=None, index=index) for index, parts in enumerate(places)]
        posts.append(Post(1, ROWS, index=3))
        stage.post(*posts)
        stage.post(*(replace(post, run=2) for post in posts))
        stage.post(Post(2, ROWS, id=None), Post(2, is_deletion=True))

    def test_odd_ids(self, tmp_path: Path) -> None:
        stage = self.stage(tmp_path)
        documents = [Post(1, MAIL[:2], id=id, index=index) for index, id in enumerate(ODD_IDS)]
        stage.post(*documents, is_watched=False)
        stage.post(*(replace(post, receipt=2, parts=MAIL[1:2]) for post in documents), is_watched=False)
        stage.post(*(replace(post, receipt=3, is_deletion=True) for post in documents[::2]), is_watched=False)

"""Deletions of documents that earlier runs fed, and the record that a run leaves for the next one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Self

import click

from pypes.cli.feeding import deleting
from pypes.cli.feeding.deleting import Receipts
from pypes.cli.feeding.earlier import learn
from pypes.cli.feeding.loading import UNKNOWN, Loaded
from pypes.cli.feeding.memory import Memory, alone, unwritable
from pypes.cli.feeding.owners import Owners
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.state import FAILED, Letter
from pypes.cli.feeding.walking import File
from pypes.core.file_names import is_hidden
from pypes.core.wording import counted
from pypes.errors import InvalidInput, PypesError

SEVERAL = "the file has vanished, but its documents stay: their ids do not come from the file"
NOT_REMEMBERED = "not remembered"
UNDER_WAY = "its document is being deleted at the moment; feed the file again afterwards"


class Remembering:
    """The memories of the folders that one run feeds, until it is closed: a context manager.

    ``messages`` are about files: subject, place and text.
    """

    def __init__(self, folder: Path, address: str, roots: Iterable[Path], template: str, moved_from: Path | None = None) -> None:
        self._folder = folder
        self._address = address
        self._memories: dict[Path, Memory] = {}
        self._vanished: dict[Path, list[str]] = {}
        self._node = ""
        self.messages: list[tuple[str, str, str]] = []
        with ExitStack() as stack:
            for root in {root.resolve(): root for root in roots}.values():
                if _would_be_fed(folder, root):
                    raise InvalidInput(
                        f"the records in {folder} would be fed with {root}; give a folder outside of {root} with --state",
                        code="feed.state",
                    )
                self._memories[root] = Memory(folder, address, root, template)
                stack.callback(self._memories[root].close)
            if moved_from is not None:
                self._adopt(moved_from, template)
            self._close = stack.pop_all().close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def changed(self, files: Iterable[File]) -> list[File]:
        """Those of the files that are not known to be as they were."""
        return [file for file in files if file.root not in self._memories or self._memories[file.root].is_changed(file)]

    def meet(self, node: str) -> None:
        """Note the number of the node that is fed now (empty: not known): what was fed to another one binds nobody here."""
        self._node = node
        for root, memory in self._memories.items():
            try:
                is_other = memory.meet(node)
            except OSError as error:
                raise unwritable(self._folder, error) from error
            if is_other:
                self.messages.append(
                    (
                        "another node",
                        str(root),
                        "its files were fed to one that is not at this address now, or whose data are gone: all count as changed",
                    )
                )

    def claim(self, files: Iterable[File], feeder: Feeder) -> list[File]:
        """Files that may be fed; files that would replace another folder's documents are refused."""
        if not self._folder.is_dir():
            return list(files)
        try:
            with alone(self._folder):
                owners = self._owners()
                free, taken = owners.split(files)
                for root, memory in self._memories.items():
                    memory.reserve(file for file in free if file.root == root)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        for file, reason in taken:
            feeder.refuse(file, reason)
        if any(not memory.state.known for memory in self._memories.values()):
            for gone, number in owners.gone.items():
                message = (
                    f"{counted(number, 'known file')} came from there; if it is a folder of this run now, add --moved-from {gone}"
                )
                self.messages.append(("gone", gone, message))
        return free

    def look(self, *, is_confirmed: bool) -> None:
        """Find what has vanished. Asks at a terminal if that is much; raises :class:`InvalidInput` if it is not confirmed."""
        for root, memory in self._memories.items():
            gone = memory.vanished()
            if memory.is_much(gone) and not is_confirmed:
                what = f"{len(gone)} of {len(memory.state.known)} files that were fed from {root} are gone"
                if not (sys.stdin.isatty() and click.confirm(f"{what}. Delete their documents?", err=True)):
                    raise InvalidInput(
                        f"{what}, so nothing was fed; is something not mounted? --yes-delete deletes their documents, "
                        "--no-deletions keeps them",
                        code="feed.too_many_deletions",
                    )
            self._vanished[root] = gone

    def settle(self, feeder: Feeder, patience_s: float | None) -> None:
        """See what became of what earlier runs sent: which deletions succeeded, which documents are dead letters."""
        self._settle(feeder, Receipts(feeder.asker, patience_s))
        try:
            for memory in self._memories.values():
                learn(memory.state, feeder.asker)
        except PypesError as error:
            self.messages.append(("not known", "what became of earlier runs", str(error)))

    # -- while it is sent: called by the threads of the feeder ---------------------------------------------

    def sending(self, files: Sequence[Loaded]) -> None:
        """Note documents before they are sent. Raises :class:`InvalidInput` during their deletion, and ``OSError``."""
        for loaded in files:
            if loaded.id is not None and any(memory.state.is_going(loaded.id) for memory in self._memories.values()):
                raise InvalidInput(UNDER_WAY, code="feed.under_way")
        for memory, some in self._by_memory(files):
            memory.claim(some)

    def accepted(self, files: Sequence[Loaded], receipt: str) -> None:
        """Note accepted documents."""
        for memory, some in self._by_memory(files):
            memory.take(some, receipt)

    def refused(self, loaded: Loaded) -> None:
        """Note that a file is not there."""
        for memory, _ in self._by_memory([loaded]):
            memory.unclaim(loaded)

    # -- at the end ------------------------------------------------------------------------------------------

    def keep(self, feeder: Feeder, *, is_through: bool = True, deletes: bool = True, patience_s: float | None = 0) -> None:
        """Delete documents of vanished files, and save the record. Failures are reported, not raised.

        A run that is not through deletes nothing, and asks nobody.
        """
        for sent in feeder.sent[: feeder.followed]:
            for loaded in sent.loaded:
                if (memory := self._memory(loaded)) is not None:
                    self._end(memory, loaded, sent.receipt)
        try:
            if is_through and deletes:
                self._delete(feeder, Receipts(feeder.asker, patience_s))
            if is_through:
                for memory in self._memories.values():
                    deleting.clear(memory, feeder.asker)
        except (PypesError, OSError) as error:
            feeder.report.failures.append(("deletions", str(error)))
        for root, memory in self._memories.items():
            waiting = sum(owed.stage != FAILED for owed in memory.state.owed.values())
            if is_through and deletes and waiting:
                self.messages.append(("deletions under way", str(root), f"{waiting}; the next run sees whether they succeeded"))
            try:
                memory.save()
            except OSError as error:
                self.messages.append((NOT_REMEMBERED, str(root), f"{error}; make room, and feed it again"))

    def _delete(self, feeder: Feeder, receipts: Receipts) -> None:
        for root, names in self._vanished.items():
            memory = self._memories[root]
            for name in names:
                # an editor takes a file away for a moment when it saves: what is back has not vanished
                if not memory.is_gone(name):
                    continue
                known = memory.state.known.get(name)
                if known is not None and known.id is None:
                    self.messages.append(("kept", str(root / name), SEVERAL))
                memory.state.forget(name)
        live = {id for memory in self._memories.values() for id, _ in memory.state.ids()}
        for memory in self._memories.values():
            if not memory.state.owed:
                continue
            ids = deleting.ready(memory, receipts)
            with alone(self._folder):  # nobody reserves an id between this look and the note that it is being deleted
                owners = self._owners()
                for id in [id for id in memory.state.owed if id in live or owners.has(id)]:
                    memory.state.spare(id)
                noted = deleting.note(memory, ids)
            deleting.delete(memory, noted, feeder)
        self._settle(feeder, receipts)

    def _settle(self, feeder: Feeder, receipts: Receipts) -> None:
        try:
            for memory in self._memories.values():
                deleting.settle(memory, feeder.asker, receipts, feeder.report)
        except PypesError as error:
            feeder.report.failures.append(("deletions", str(error)))

    def _end(self, memory: Memory, loaded: Loaded, receipt: str) -> None:
        """Note how the document of a file ended."""
        name = loaded.file.name
        known = memory.state.known.get(name)
        if known is not None and known.receipt == receipt:
            memory.state.known[name] = known._replace(receipt="", stamp=UNKNOWN if loaded.has_failed else known.stamp)
            if loaded.has_failed:
                memory.state.letters[name] = Letter(receipt, loaded.id)

    def _adopt(self, moved_from: Path, template: str) -> None:
        """Take over the record of a folder that has been moved."""
        (memory,) = self._memories.values()
        if moved_from.exists():
            raise InvalidInput(f"{moved_from} is still there: --moved-from is for a folder that was moved", code="feed.moved")
        other = Memory(self._folder, self._address, moved_from, template)
        if not (other.state.known or other.state.owed or other.state.claims):
            other.remove()
            raise InvalidInput(
                f"no earlier run fed {moved_from} to {self._address}; give the path and the address of that run",
                code="feed.moved",
            )
        memory.state.adopt(other.state)
        memory.save()
        other.remove()

    def _owners(self) -> Owners:
        return Owners(self._folder, self._address, {memory.state.root for memory in self._memories.values()}, self._node)

    def _memory(self, loaded: Loaded) -> Memory | None:
        return None if loaded.file.root is None else self._memories.get(loaded.file.root)

    def _by_memory(self, files: Iterable[Loaded]) -> list[tuple[Memory, list[Loaded]]]:
        grouped = groupby(files, key=lambda loaded: loaded.file.root)
        return [(self._memories[root], list(some)) for root, some in grouped if root in self._memories]


def _would_be_fed(folder: Path, root: Path) -> bool:
    inside = folder.resolve()
    return inside.is_relative_to(root.resolve()) and not any(is_hidden(part) for part in inside.relative_to(root.resolve()).parts)

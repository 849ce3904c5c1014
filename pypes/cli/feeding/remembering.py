"""Remembering: what a run deletes of what earlier runs fed, and what it leaves behind for the next one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from pypes.cli.feeding.loading import Loaded
from pypes.cli.feeding.memory import Memory
from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.walking import File
from pypes.errors import InvalidInput, PypesError

SEVERAL = "it has vanished, but its documents stay: they have no id of their file"


class Remembering:
    """The memories of the folders that one run feeds. ``told`` are words about files, each with what it is about."""

    def __init__(self, folder: Path, address: str, roots: Iterable[Path], template: str) -> None:
        self._memories = {root: Memory(folder, address, root, template) for root in roots}
        self._vanished: dict[Path, list[str]] = {}
        self.told: list[tuple[str, str, str]] = []

    def changed(self, files: Iterable[File]) -> list[File]:
        """Those of the files that are not known to be as they were."""
        return [file for file in files if file.root not in self._memories or self._memories[file.root].is_changed(file)]

    def look(self, *, is_confirmed: bool) -> None:
        """Find what has vanished. Asks at a terminal if that is much; raises :class:`InvalidInput` if it is not confirmed."""
        for root, memory in self._memories.items():
            gone = memory.vanished()
            if memory.is_much(gone) and not is_confirmed:
                what = f"{len(gone)} of {len(memory.known)} files that were fed from {root} are gone"
                if not (sys.stdin.isatty() and click.confirm(f"{what}. Delete their documents?", err=True)):
                    raise InvalidInput(
                        f"{what}, so nothing was fed; is something not mounted? --yes-delete deletes their documents, "
                        "--no-deletions keeps them",
                        code="feed.too_many_deletions",
                    )
            self._vanished[root] = gone

    def keep(self, feeder: Feeder, *, deletes: bool) -> None:
        """Remember what was accepted, delete what is no more, and write it down. What fails is told, not raised."""
        accepted: dict[Path, list[Loaded]] = {}
        for sent in feeder.sent:
            for loaded in sent.loaded:
                if loaded.file.root in self._memories:
                    accepted.setdefault(loaded.file.root, []).append(loaded)
        for root, found in accepted.items():
            self._memories[root].take(found)
        if deletes:
            fed = {root: {loaded.file.name for loaded in found} for root, found in accepted.items()}
            for root, names in self._vanished.items():
                # an editor takes a file away for a moment when it saves: what was fed in this run, or is back, has not vanished
                self._vanished[root] = [
                    name for name in names if name not in fed.get(root, ()) and self._memories[root].is_gone(name)
                ]
            self._delete(feeder)
        for root, memory in self._memories.items():
            try:
                memory.save()
            except OSError as error:
                self.told.append(("not remembered", str(root), f"{error}; give a folder that can be written to with --state"))

    def _delete(self, feeder: Feeder) -> None:
        gone = {root: {name: self._memories[root].known.pop(name) for name in names} for root, names in self._vanished.items()}
        live = {id for memory in self._memories.values() for id in memory.ids()}
        owed = [id for memory in self._memories.values() for id in memory.owed]
        ids = [*owed, *(known.id for names in gone.values() for known in names.values() if known.id is not None)]
        for root, names in gone.items():
            self.told += [("kept", str(root / name), SEVERAL) for name, known in names.items() if known.id is None]
        try:
            feeder.delete([id for id in dict.fromkeys(ids) if id not in live])
        except (PypesError, OSError) as error:
            feeder.report.failures.append(("deletions", str(error)))
            for root, names in gone.items():
                self._memories[root].known.update(names)
        else:
            for memory in self._memories.values():
                memory.owed.clear()

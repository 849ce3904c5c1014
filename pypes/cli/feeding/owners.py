"""Owners of ids at one address, so that no folder replaces or deletes documents of another."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from pypes.cli.feeding.memory import states
from pypes.cli.feeding.state import ASKED, is_another
from pypes.cli.feeding.walking import File


class Owner(NamedTuple):
    """Owner of an id: a folder, and the path of the file in it. ``is_going``: its deletion is under way."""

    root: str
    name: str
    is_going: bool = False


class Owners:
    """Ids that folders other than ``ours`` have at an address, on the node of this number (empty: on any)."""

    def __init__(self, folder: Path, address: str, ours: Collection[str], node: str = "") -> None:
        self._owners: dict[str, Owner] = {}
        #: Folders that are not there any more, and how many files were fed from them.
        self.gone: dict[str, int] = {}
        for state in states(folder, address, ours):
            if is_another(state.node, node):
                continue
            if state.known and not Path(state.root).exists():
                self.gone[state.root] = len(state.known)
            self._owners.update((id, Owner(state.root, name)) for id, name in state.ids())
            going = (id for id, owed in state.owed.items() if owed.stage == ASKED)
            self._owners.update((id, Owner(state.root, "", True)) for id in going if id not in self._owners)

    def has(self, id: str) -> bool:
        """True if another folder has a document of this id."""
        owner = self._owners.get(id)
        return owner is not None and not owner.is_going

    def split(self, files: Iterable[File]) -> tuple[list[File], list[tuple[File, str]]]:
        """Files that may be fed, and files that would replace another folder's documents, with the reason."""
        free, taken = [], []
        for file in files:
            owner = self._owners.get(file.id) if file.id is not None else None
            if owner is None or (not owner.is_going and _is_same(Path(owner.root, owner.name), file.path)):
                free.append(file)
            else:
                taken.append((file, self._reason(owner, file)))
        return free, taken

    def _reason(self, owner: Owner, file: File) -> str:
        if owner.is_going:
            return f"the document {file.id!r} of {owner.root} is being deleted at the moment; feed the file again afterwards"
        if owner.root in self.gone:
            return (
                f"the document {file.id!r} was fed from {owner.root}, which is gone; if that folder was moved to "
                f"{file.root or file.path}, add --moved-from {owner.root}, else tell them apart with --id '{{root}}/{{path}}'"
            )
        return (
            f"the file would replace the document {file.id!r}, which was fed from {owner.root}; tell them apart with "
            f"--id '{{root}}/{{path}}', or feed them to routes of their own; if the file was moved here, feed {owner.root} first"
        )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False

"""State: what one folder has at one address, as it is kept between runs of ``pypes feed``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pypes.cli.feeding.loading import UNKNOWN, Stamp

VERSION = 1

#: Stages of a deletion. ``MADE``: the receipt is that of the document; ``ASKED`` and ``FAILED``: that of the deletion.
MADE, ASKED, FAILED = "made", "asked", "failed"


class Known(NamedTuple):
    """A file that was fed.

    ``id`` is that of its document, ``None`` if it had none or is several. ``receipt`` is that of the POST it was accepted with,
    empty once everything of that is known to have ended.
    """

    id: str | None
    stamp: Stamp
    receipt: str = ""


class Owed(NamedTuple):
    """A deletion that is still to be made, or to be seen succeed. An empty ``receipt`` is one that nobody knows."""

    receipt: str
    stage: str


class Letter(NamedTuple):
    """Place of the dead letters of a document: those of a receipt with this id, ``None``: all of the receipt."""

    receipt: str
    id: str | None


@dataclass(slots=True)
class State:
    """State of one folder at one address."""

    address: str
    root: str
    #: Template of the ids, and in lines below it the metadata that the files were fed with.
    template: str
    #: Times that it was written.
    generation: int = 0
    #: Number of the node that the files were fed to, as it was drawn when its store was made; empty: not known.
    node: str = ""
    #: Path from the folder → what was fed.
    known: dict[str, Known] = field(default_factory=dict)
    #: Ids under which something was sent, whose answer is not known → path from the folder.
    claims: dict[str, str] = field(default_factory=dict)
    #: Ids whose documents are to be deleted.
    owed: dict[str, Owed] = field(default_factory=dict)
    #: Path from the folder → dead letters of what was fed last.
    letters: dict[str, Letter] = field(default_factory=dict)
    #: Dead letters of what has been fed again since, or deleted.
    superseded: list[Letter] = field(default_factory=list)
    #: Ids that a run which is under way will send. They end with it.
    reserved: dict[str, str] = field(default_factory=dict)

    def take(self, fed: Mapping[str, Known]) -> None:
        """Note accepted documents. Former documents of the same files await deletion."""
        for name, new in fed.items():
            old = self.known.get(name)
            self.known[name] = new
            if new.id is not None:
                self.claims.pop(new.id, None)
                self.spare(new.id)
            if old is not None and old.id is not None and old.id != new.id:
                self.owed[old.id] = Owed(old.receipt, MADE)
            self._supersede(name)

    def forget(self, name: str) -> None:
        """Note that a file is gone; its documents await deletion."""
        known = self.known.pop(name, None)
        if known is not None and known.id is not None:
            self.owed[known.id] = Owed(known.receipt, MADE)
        for id in [id for id, claimed in self.claims.items() if claimed == name]:
            del self.claims[id]
            self.owed.setdefault(id, Owed("", MADE))
        self._supersede(name)

    def meet(self, node: str) -> bool:
        """Note which node is fed now; True if it is not the one that has what was fed: then all files count as changed."""
        is_other = is_another(self.node, node)
        if is_other:
            self.known = {name: known._replace(stamp=UNKNOWN) for name, known in self.known.items()}
        self.node = node or self.node
        return is_other

    def is_going(self, id: str) -> bool:
        """True if a document has been asked to be deleted, and it is not known yet whether it was."""
        owed = self.owed.get(id)
        return owed is not None and owed.stage == ASKED

    def spare(self, id: str) -> None:
        """Give up a deletion that has not been asked for: the document is there again, or is another folder's."""
        owed = self.owed.get(id)
        if owed is None or owed.stage == ASKED:
            return
        if owed.stage == FAILED:
            self.superseded.append(Letter(owed.receipt, id))
        del self.owed[id]

    def adopt(self, other: State) -> None:
        """Take over what another folder has. Where both know a file, what this one knows is newer."""
        for name, known in other.known.items():
            own = self.known.get(name)
            if own is None:
                self.known[name] = known if other.template == self.template else known._replace(stamp=UNKNOWN)
            elif known.id is not None and known.id != own.id:
                self.owed.setdefault(known.id, Owed(known.receipt, MADE))
        self.claims = {**other.claims, **self.claims}
        self.owed = {**other.owed, **self.owed}
        self.letters = {**other.letters, **self.letters}
        self.superseded += other.superseded

    def _supersede(self, name: str) -> None:
        letter = self.letters.pop(name, None)
        if letter is not None:
            self.superseded.append(letter)

    def ids(self) -> Iterator[tuple[str, str]]:
        """Each id that is, or may be, that of a document of this folder, with the path of its file."""
        yield from ((known.id, name) for name, known in self.known.items() if known.id is not None)
        yield from self.claims.items()
        yield from self.reserved.items()

    def apply(self, change: Mapping[str, Any]) -> None:
        """Apply a line of the journal; raises ``ValueError`` and similar errors."""
        self.reserved.update(_texts(change.get("reserved", {})))
        self.claims.update(_texts(change.get("claims", {})))
        self.take({_name(name): _known(*entry) for name, entry in change.get("fed", {}).items()})
        self.owed.update({_text(id): Owed("", ASKED) for id in change.get("asking", ())})

    def written(self) -> str:
        """The state without reserved ids, as text."""
        return json.dumps(
            {
                "version": VERSION,
                "address": self.address,
                "root": self.root,
                "template": self.template,
                "generation": self.generation,
                "node": self.node,
                "files": {name: entry(known) for name, known in self.known.items()},
                "claims": self.claims,
                "owed": self.owed,
                "letters": self.letters,
                "superseded": self.superseded,
            }
        )


def is_another(one: str, other: str) -> bool:
    """True if these are different nodes, as far as is known."""
    return bool(one and other) and one != other


def entry(known: Known) -> list[Any]:
    """A known file as JSON value."""
    return [known.id, *known.stamp, known.receipt]


def read(text: str) -> State:
    """The state that was written; raises ``ValueError`` and its like for anything else."""
    found = json.loads(text)
    if found["version"] != VERSION:
        raise ValueError(f"it is of version {found['version']}")
    return State(
        address=_text(found["address"]),
        root=_text(found["root"]),
        template=_text(found["template"]),
        generation=found.get("generation", 0),
        node=_text(found.get("node", "")),
        known={_name(name): _known(*given) for name, given in found["files"].items()},
        claims=_texts(found.get("claims", {})),
        owed={_text(id): Owed(*map(_text, given)) for id, given in found.get("owed", {}).items()},
        letters={_name(name): _letter(*given) for name, given in found.get("letters", {}).items()},
        superseded=[_letter(*given) for given in found.get("superseded", [])],
    )


def _name(name: str) -> str:
    """The name of a file below the folder, as it was written; raises ``ValueError`` for what leads elsewhere."""
    if "\0" in name or name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{name!r} is no file of the folder")
    return name


def _known(id: object, size: object, mtime_ns: object, receipt: object = "") -> Known:
    if not isinstance(size, int) or not isinstance(mtime_ns, int):
        raise ValueError("a size or a time is no number")
    return Known(None if id is None else _text(id), (size, mtime_ns), _text(receipt))


def _letter(receipt: object, id: object) -> Letter:
    return Letter(_text(receipt), None if id is None else _text(id))


def _texts(found: Mapping[str, str]) -> dict[str, str]:
    return {_text(id): _name(name) for id, name in found.items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("an id is no text")
    return value

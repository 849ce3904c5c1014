"""Publishers to a folder of files: a right one, and some that are wrong in one way each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pypes.component import Publisher
from pypes.core.identity import Completed, Identity, Version
from pypes.packet import Packet


class Shelf(Publisher):
    """A folder for each document, with a file for each part and version, and one that says which version is whole.

    Files are written by one process at a time.
    """

    def setup(self) -> None:
        self.waiting: list[Packet] = []

    def process_batch(self, packets: list[Packet]) -> None:
        self.waiting += packets

    def complete(self, documents: list[Completed]) -> int:
        self.put()
        for each in documents:
            if each.is_whole and each.version >= self.head(each.document):
                write(self.place(each.document) / "head", each.version.text)
        return sum(self.sweep(each.document) for each in documents)

    def commit(self) -> None:
        self.put()

    def put(self) -> None:
        packets, self.waiting = self.waiting, []
        for packet in packets:
            version = packet.version or Version("")
            document = packet.document or Identity("", f"no id: {version.receipt}/{version.index}")
            if not packet.is_deletion and version >= self.head(document):
                self.put_part(self.place(document), packet, version)

    def put_part(self, place: Path, packet: Packet, version: Version) -> None:
        content = [packet.get_meta("route"), packet.document and packet.document.id, packet.part, packet["text"], version.text]
        write(place / self.file_name(packet.part, version), json.dumps(content))

    def file_name(self, part: str, version: Version) -> str:
        """The name of the file of a part: the same in every run."""
        return f"part-{digest(part, version.receipt, version.index)}"

    def sweep(self, document: Identity) -> int:
        """Remove the parts that are older than the whole version."""
        head, removed = self.head(document), 0
        for path in self.place(document).glob("part-*"):
            if Version.parse(json.loads(path.read_text())[4]) < head:
                path.unlink()
                removed += 1
        return removed

    def head(self, document: Identity) -> Version:
        path = self.place(document) / "head"
        return Version.parse(path.read_text()) if path.exists() else Version("")

    def place(self, document: Identity) -> Path:
        return Path(self.data_dir, digest(*document))


class RemovesFirst(Shelf):
    """Removes the old version before the new one is in."""

    def put_part(self, place: Path, packet: Packet, version: Version) -> None:
        for path in place.glob("part-*"):
            if Version.parse(json.loads(path.read_text())[4]) < version:
                path.unlink()
        super().put_part(place, packet, version)


class WithoutGuard(Shelf):
    """Takes what was told last for the newest."""

    def complete(self, documents: list[Completed]) -> int:
        self.put()
        for each in documents:
            if each.is_whole:
                write(self.place(each.document) / "head", each.version.text)
        return sum(self.sweep(each.document) for each in documents)


class ForgetsDeleted(Shelf):
    """Removes all that it knows of a deleted document, and so does not know late parts of it."""

    def complete(self, documents: list[Completed]) -> int:
        removed = super().complete(documents)
        for each in documents:
            if each.is_deleted:
                (self.place(each.document) / "head").unlink()
        return removed


class TakesAllForWhole(Shelf):
    """Does not ask whether a version is whole."""

    def complete(self, documents: list[Completed]) -> int:
        return super().complete([each._replace(is_whole=True) for each in documents])


class KeepsDeleted(Shelf):
    """Does nothing about deletions."""

    def complete(self, documents: list[Completed]) -> int:
        return super().complete([each for each in documents if not each.is_deleted])


class OverwritesParts(Shelf):
    """Writes parts of a new version over those of the old one."""

    def put_part(self, place: Path, packet: Packet, version: Version) -> None:
        super().put_part(place, packet, version)
        for path in place.glob("part-*"):
            *_, part, _, other = json.loads(path.read_text())
            if part == packet.part and Version.parse(other) < version:
                path.unlink()


class WithoutRoutes(Shelf):
    """Takes the same id under two routes for one document."""

    def place(self, document: Identity) -> Path:
        return super().place(Identity("", document.id))


class ForgetsTheRest(Shelf):
    """Writes only what it was told of, and forgets what a turn before took."""

    def commit(self) -> None:
        self.waiting = []


class NeverRemoves(Shelf):
    """Only ever adds."""

    def sweep(self, document: Identity) -> int:
        return 0


class SparesNew(Shelf):
    """Supposes that there is nothing older of a document that was not there before the turn."""

    def complete(self, documents: list[Completed]) -> int:
        self.known = {each.document for each in documents if self.place(each.document).exists()}
        return super().complete(documents)

    def sweep(self, document: Identity) -> int:
        return super().sweep(document) if document in self.known else 0


class CountsWhatItKeeps(Shelf):
    """Says that it has removed something of each document."""

    def complete(self, documents: list[Completed]) -> int:
        return super().complete(documents) + len(documents)


class TellsRunsApart(Shelf):
    """Keeps what each run of a document brings."""

    def file_name(self, part: str, version: Version) -> str:
        return super().file_name(f"{part} {version.run}", version)


class NumbersParts(Shelf):
    """Numbers the packets that it takes, also those that it is given again."""

    taken = 0

    def file_name(self, part: str, version: Version) -> str:
        self.taken += 1
        return super().file_name(f"{part} {self.taken}", version)


class WritesIds(Shelf):
    """Writes ids into names of folders."""

    def place(self, document: Identity) -> Path:
        return Path(self.data_dir, document.route or "-", document.id.replace("/", "-").replace("\0", "-")[:200])


class JoinsRouteAndId(Shelf):
    """Writes routes and ids into one text."""

    def place(self, document: Identity) -> Path:
        return super().place(Identity("", f"{document.route}/{document.id}"))


class HasNoNames(Shelf):
    """Takes all documents without an id for one."""

    def put(self) -> None:
        for packet in self.waiting:
            if packet.id is None:
                packet.set_meta("index", 0)
        super().put()


def read(folder: Path) -> Iterator[tuple[str, str | None, str, str]]:
    for path in folder.rglob("part-*"):
        route, id, part, text, _ = json.loads(path.read_text())
        yield route, id, part, text


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "new").write_text(text)
    (path.parent / "new").replace(path)


def digest(*words: object) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]

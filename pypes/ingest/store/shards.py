"""Shards: numbered slots of a data directory, each held by a lock that dies with its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from pypes.core.durable import sync_folder
from pypes.errors import StoreError
from pypes.ingest.receipt import MAX_SHARD
from pypes.ingest.store.origin import Origin, read_origin


@dataclass(frozen=True, slots=True)
class Shard:
    """A locked slot: ``path`` is its folder, ours until :meth:`release` or the end of this process.

    ``origin`` is there if the shard came from another node.
    """

    number: int
    path: Path
    lock_fd: int
    origin: Origin | None = None

    def identity(self, node: int) -> tuple[int, int]:
        """The node and the shard in the ids of its receipts, in a slot of ``node``."""
        return (node, self.number) if self.origin is None else (self.origin.node, self.origin.shard)

    def release(self) -> None:
        os.close(self.lock_fd)


class Shards:
    """The slots under ``data_dir/shards``."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "shards"
        self.path.mkdir(parents=True, exist_ok=True)

    def numbers(self) -> list[int]:
        """Slots that exist, locked or not, ascending."""
        return sorted(int(entry.name) for entry in self.path.iterdir() if entry.name.isdigit())

    def folder(self, number: int) -> Path:
        """The folder of a slot."""
        return self.path / f"{number:03d}"

    def origin(self, number: int) -> Origin | None:
        """The origin of the shard in a slot, ``None`` if it is of this node. Raises :class:`StoreError`."""
        return read_origin(self.folder(number))

    def identity(self, number: int, node: int) -> tuple[int, int]:
        """As :meth:`Shard.identity`, of a slot that may be in use."""
        origin = self.origin(number)
        return (node, number) if origin is None else (origin.node, origin.shard)

    def owners(self, workers: int) -> int:
        """Number of shards that own keys: the ``workers`` of the node's first start, recorded then and never changed.

        Blocks on the disk the first time. Raises :class:`StoreError` if the record is damaged.
        """
        path = self.path / "owners"
        if not path.exists():
            fresh = self.path / f"owners-{os.getpid()}-{uuid.uuid4().hex}"
            with fresh.open("x", encoding="ascii") as file:
                file.write(f"{workers}\n")
                file.flush()
                os.fsync(file.fileno())
            # a link does not replace: the first worker to come decides
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
            sync_folder(self.path)
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if not text.isdigit() or not 0 < int(text) <= MAX_SHARD + 1:
            raise StoreError(
                (
                    "the file with the number of owners cannot be read; write into the file how many workers the node had "
                    "at its first start"
                ),
                code="store.damaged",
                where=str(path),
            )
        return int(text)

    def lock(self, number: int, *, wait_s: float = 0.0) -> Shard:
        """Lock a slot, making it if need be; blocks up to ``wait_s`` for a dying holder. Raises :class:`StoreError`."""
        if not 0 <= number <= MAX_SHARD:
            raise StoreError(f"shard {number} is out of range; a node has at most {MAX_SHARD + 1}", code="store.no_such_shard")
        path = self.folder(number)
        path.mkdir(exist_ok=True)
        fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(fd)
                    raise StoreError(
                        f"shard {number} is in use by another process; stop that process first",
                        code="store.locked",
                        where=str(path),
                    ) from None
                # flock has no timed wait, and a blocking one could not be given up
                time.sleep(0.01)
        # what is synced in a folder that a power cut makes vanish is lost all the same
        for folder in (path, self.path, self.path.parent):
            sync_folder(folder)
        try:
            return Shard(number, path, fd, read_origin(path))
        except BaseException:
            os.close(fd)
            raise

    def adopt(self, first: int) -> list[Shard]:
        """Lock every existing slot from ``first`` on (the number of workers) that no one holds: its worker is gone for good."""
        adopted = []
        for number in self.numbers():
            if number >= first:
                try:
                    adopted.append(self.lock(number))
                except StoreError as error:
                    if error.code != "store.locked":
                        raise
        return adopted


def owner_of(text: str, owners: int) -> int:
    """The shard that owns a key or an ordered graph, for good: the same in every process and release."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) % owners

"""Members of archives (zip, tar) and compressed files, one after the other, within bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, NamedTuple, cast

from pypes import Packet, Reject
from pypes.core.media_types import OCTETS, media_type_of
from pypes_documents.job import ENCRYPTED, MALFORMED, NO_TEXT, Job, Unpacked, Unread, file_in
from pypes_documents.names import Names
from pypes_documents.packages import DAMAGED

_DAMAGED: Final = (*DAMAGED, tarfile.TarError)
#: Marks that systems leave in archives, and that nobody wrote.
_LITTER: Final = frozenset((".DS_Store", "Thumbs.db", "desktop.ini"))
_LITTER_FOLDERS: Final = "__MACOSX/"
_HEAD: Final = 512
_BLOCK_BYTES: Final = 1 << 16

_OPENERS: Final[dict[str, Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}


class Member(NamedTuple):
    """A file in an archive: its path there, and its content or why that cannot be read."""

    path: str
    data: bytes | Reject


class _Head(tarfile.TarInfo):
    """The head of a file in a tar. One that is damaged or missing raises: the library takes it for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Head:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # a block of zeros, as it is at the end
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def read(packet: Packet, job: Job) -> Iterator[Packet | Unread]:
    """Yield the members of an archive as packets. The archive itself has nothing to say."""
    name = str(packet.get_meta("filename") or "")
    with job.take_file(packet) as file:
        yield from parts_of(packet, _members(file, name, job))


def parts_of(packet: Packet, members: Iterable[Member]) -> Iterator[Packet | Unread]:
    """The members of an archive as packets. Raises ``Reject`` if there are none."""
    names = Names()
    count = 0
    for member in members:
        count += 1
        place = names.add(member.path)
        if isinstance(member.data, Reject):
            yield Unread.of(packet, "member", place, member.data)
            continue
        filename = member.path.rpartition("/")[2]
        meta = {"filename": filename, "path": member.path, "mimetype": media_type_of(filename).outer or OCTETS}
        yield file_in(packet, "member", place, member.data, meta)
    if not count:
        raise Reject("the archive has no files in it", NO_TEXT)


def _members(file: IO[bytes], name: str, job: Job) -> Iterator[Member]:
    head = file.read(_HEAD)
    file.seek(0)
    try:
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _zip_members(file, job)
        elif is_tar(head):
            yield from _tar_members(file, job)
        elif compression := compression_of(head):
            yield from _unpacked(file, compression, name, job)
        else:
            raise Reject("it is no zip, tar, gzip, bzip2 or xz", MALFORMED)
    except _DAMAGED as error:
        raise Reject(f"the archive is damaged: {type(error).__name__}: {error}", MALFORMED) from error


def is_tar(head: bytes) -> bool:
    """True for a file that begins so, if it is a tar; one from before POSIX (v7) has no mark, but a sum of its first block."""
    if head[257:262] == b"ustar":
        return True
    try:
        return bool(tarfile.TarInfo.frombuf(head[:_HEAD], "utf-8", "surrogateescape").name)
    except tarfile.HeaderError:
        return False


def compression_of(head: bytes) -> str:
    """The compression of a file that begins so; ``""`` if it is none of those that are read here."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(b"BZh"):
        return "bzip2"
    return "xz" if head.startswith(b"\xfd7zXZ\0") else ""


def _zip_members(file: IO[bytes], job: Job) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir() or is_litter(info.filename):
                continue
            job.begin_part()
            yield Member(info.filename, _zip_content(archive, info, job))


def _zip_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, job: Job) -> bytes | Reject:
    if info.flag_bits & 1:
        return Reject("it is encrypted; pack it without a password", ENCRYPTED)
    try:
        with archive.open(info) as stream:
            return job.content(Unpacked(stream, job, info.compress_size))
    except _DAMAGED as error:
        return Reject(f"it is damaged: {type(error).__name__}: {error}", MALFORMED)


def _tar_members(stream: IO[bytes], job: Job) -> Iterator[Member]:
    last = ""
    try:
        # as a stream: what is passed over is unpacked as well, and counts
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=1, tarinfo=_Head) as archive:
            for info in archive:
                job.begin_part()
                last = info.name.removeprefix("./")
                content = archive.extractfile(info) if info.isreg() and not is_litter(info.name) else None
                if content is not None:
                    yield Member(last, job.content(content))
            behind = cast(IO[bytes], archive.fileobj)
            while block := behind.read(_BLOCK_BYTES):
                if block.strip(b"\0"):
                    raise Reject(f"behind {last} and the end of the tar, there is more: it was not read", MALFORMED)
    except _DAMAGED as error:
        where = f"at or behind {last}, " if last else ""
        raise Reject(f"{where}the tar is damaged or cut off: {type(error).__name__}: {error}", MALFORMED) from error


def _unpacked(file: IO[bytes], compression: str, name: str, job: Job) -> Iterator[Member]:
    packed = file.seek(0, io.SEEK_END)
    opener = _OPENERS[compression]
    file.seek(0)
    is_packed_tar = is_tar(opener(file).read(_HEAD))
    file.seek(0)
    stream = cast(IO[bytes], Unpacked(opener(file), job, packed))
    if is_packed_tar:
        yield from _tar_members(stream, job)
        return
    job.begin_part()
    last = name.rpartition("/")[2]
    stem, _, suffix = last.rpartition(".")
    path = stem if stem and suffix.lower() in ("gz", "bz2", "xz") else last or "content"
    yield Member(path, job.read(stream))


def is_litter(path: str) -> bool:
    """True for a file that a system leaves in archives, and that nobody wrote."""
    return path.startswith(_LITTER_FOLDERS) or path.rpartition("/")[2] in _LITTER

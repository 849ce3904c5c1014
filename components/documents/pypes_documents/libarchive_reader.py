"""Members of 7z and cpio archives, by the library libarchive of the system.

RAR is not among them: libarchive takes one that is cut off for one that ends there.
"""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import create_string_buffer
from typing import IO, Any, Final

from pypes import Packet, Reject
from pypes_documents.job import ENCRYPTED, MALFORMED, UNKNOWN, Job, Unread
from pypes_documents.members import Member, is_litter, parts_of

#: The marks at the beginning, and the name of the format there. Only this one is tried: some others read files of the system.
MARKS: Final = {
    b"7z\xbc\xaf\x27\x1c": "7zip",
    b"070701": "cpio",
    b"070702": "cpio",
    b"070707": "cpio",
}
_BLOCK_BYTES: Final = 1 << 16
#: Return code of libarchive from which on nothing more can be read; a member that fails otherwise costs no other.
_FATAL: Final = -30
_INSTALL: Final = "install the library libarchive, on Debian and Ubuntu with apt-get install libarchive13"


def format_of_mark(head: bytes) -> str:
    """The name of the format of a file that begins so; ``""`` if it is none of those that are read here."""
    return next((name for mark, name in MARKS.items() if head.startswith(mark)), "")


def read(packet: Packet, job: Job) -> Iterator[Packet | Unread]:
    """Yield the members of an archive as packets. The archive itself has nothing to say."""
    with job.take_file(packet) as file:
        head = file.read(max(map(len, MARKS)))
        file.seek(0)
        yield from parts_of(packet, _members(file, format_of_mark(head), job))


def _members(file: IO[bytes], format: str, job: Job) -> Iterator[Member]:
    library = _library()
    last = ""
    try:
        with library.stream_reader(_Stream(file), format_name=format, filter_name="none", block_size=_BLOCK_BYTES) as archive:
            for entry in archive:
                job.begin_part()
                last = _path(entry.pathname)
                if entry.isreg and not is_litter(last):
                    yield Member(last, _content(_Blocks(library, archive, job), job, library.ArchiveError))
    except library.ArchiveError as error:
        where = f"at or behind {last}, " if last else ""
        raise _fault(error, f"{where}the archive is damaged or cut off") from error


def _content(blocks: _Blocks, job: Job, archive_error: type[Exception]) -> bytes | Reject:
    try:
        return job.content(blocks)
    except archive_error as error:
        if getattr(error, "retcode", _FATAL) == _FATAL and not _is_encrypted(error):
            raise
        return _fault(error, "it is damaged")


def _fault(error: Exception, what: str) -> Reject:
    if _is_encrypted(error):
        return Reject("it is encrypted; pack it without a password", ENCRYPTED)
    said = getattr(error, "msg", error)  # None where the library gives no reason
    return Reject(f"{what}: {said}" if said else what, MALFORMED)


def _is_encrypted(error: Exception) -> bool:
    told = str(getattr(error, "msg", error)).lower()
    return "encrypt" in told or "passphrase" in told or "password" in told


def _path(given: str | bytes | None) -> str:
    path = given.decode("utf-8", "replace") if isinstance(given, bytes) else given or ""
    return path.encode("utf-8", "replace").decode().removeprefix("./")


def _library() -> Any:
    try:
        import libarchive
    except (OSError, AttributeError, TypeError) as error:  # as its functions are looked up while it is imported
        raise Reject(f"what reads this file is not installed; {_INSTALL}", UNKNOWN) from error
    return libarchive


class _Blocks:
    """The content of the member at hand, whose bytes count as they are unpacked.

    Its own ``get_blocks`` takes a warning, of a sum that is wrong for example, for a number of bytes.
    """

    def __init__(self, library: Any, archive: Any, job: Job) -> None:
        self._library, self._pointer, self._job = library, archive._pointer, job
        self._buffer = create_string_buffer(_BLOCK_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        ffi = self._library.ffi
        count = ffi.read_data(self._pointer, self._buffer, _BLOCK_BYTES)
        if count < 0:
            raise ffi.archive_error(self._pointer, count)
        self._job.unpack(count)
        return self._buffer.raw[:count]


class _Stream:
    """A file as libarchive reads it; files that spill to the disk have no ``readinto`` in Python 3.11."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        return True

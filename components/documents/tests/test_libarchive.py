"""7z and cpio, and tar from before it had a mark."""

from __future__ import annotations

import io
import random
import sys
import tarfile
from typing import Any

import pytest

from pypes import Pipeline
from pypes.component import Adapter
from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.archive_adapter import Archive
from pypes_documents.document_adapter import Document
from tests.needed import missing

from .made import docx, packed, paragraph, tarred
from .reading import refused

try:
    import libarchive
except (ImportError, OSError, AttributeError, TypeError):
    missing("no libarchive; pip install 'pypes-documents[archives]' and apt-get install libarchive13")

FILES = {"a/b.txt": b"one", "a/c.md": b"# two", "a/.DS_Store": b"\0", "empty.txt": b"", "logo.png": b"\x89PNG\0"}


def archived(format: str, files: dict[str, bytes], options: str = "") -> bytes:
    """An archive by libarchive: ``7zip``, ``cpio_newc``, ``v7tar``."""
    blocks: list[bytes] = []

    def add(block: bytes) -> int:
        blocks.append(bytes(block))
        return len(block)

    with libarchive.custom_writer(add, format, options=options) as archive:
        for name, data in files.items():
            archive.add_file_from_memory(name, len(data), data)
    return b"".join(blocks)


MADE = {
    "7z": archived("7zip", FILES),
    "cpio": archived("cpio_newc", FILES),
    "v7": archived("v7tar", FILES),
}
#: Nine mebibytes in a few kibibytes.
LONG = archived("7zip", {"a": bytes(9 << 20)})


@pytest.mark.parametrize("adapter", [Archive, Document])
@pytest.mark.parametrize("kind", MADE)
def test_members(adapter: type[Adapter], kind: str) -> None:
    result = run_component(adapter, [Packet({"data": MADE[kind]}, {"id": "7", "filename": f"x.{kind}"})])
    assert not result.dead_letters
    assert {packet.id: packet["text"] for packet in result.packets} == {"7/member=a%2Fb.txt": "one", "7/member=a%2Fc.md": "two"}
    assert [packet.get_meta("path") for packet in result.packets] == ["a/b.txt", "a/c.md"]
    assert result.counts == {"parts_skipped": 2, "parts_skipped_empty": 1, "parts_skipped_other": 1}


def test_archives_in_archives() -> None:
    data = archived("7zip", {"x.zip": packed({"d.docx": docx(paragraph("deep"))}), "y.tar": tarred({"e.txt": b"wide"})})
    result = run_component(Document, [Packet({"data": data})])
    assert [packet.part for packet in result.packets] == ["member=x.zip/member=d.docx", "member=y.tar/member=e.txt"]


@pytest.mark.parametrize(
    ("data", "params", "code", "reason"),
    [
        (archived("7zip", {}), {}, "document.no_text", "no files"),
        (MADE["7z"][:-20], {}, "document.malformed", "the archive is damaged or cut off"),
        (MADE["7z"][:40], {}, "document.malformed", "the archive is damaged or cut off"),
        (b"7z\xbc\xaf\x27\x1c", {}, "document.malformed", "the archive is damaged or cut off"),
        (MADE["cpio"][:150], {}, "document.malformed", "the archive is damaged or cut off"),
        (archived("7zip", dict.fromkeys("abc", b"x")), {"max_parts": 2}, "document.too_large", "more than max_parts (2)"),
        (LONG, {"max_bytes": 4000}, "document.too_large", "member=a: it is longer than max_bytes"),
        (LONG, {"max_unpacked_bytes": 1 << 20}, "document.too_large", "max_unpacked_bytes (1048576)"),
    ],
)
def test_what_cannot_be_read(data: bytes, params: dict[str, Any], code: str, reason: str) -> None:
    result = run_component(Document, [Packet({"data": data})], **params)
    (fault,) = result.dead_letters
    assert (fault.code, reason in fault.error) == (code, True), fault.error


@pytest.mark.parametrize("data", [MADE["7z"][:40], MADE["7z"][:-20], MADE["cpio"][:150]])
def test_a_reason_that_the_library_does_not_give_is_left_out(data: bytes) -> None:
    (letter,) = run_component(Document, [Packet({"data": data})]).dead_letters
    assert "None" not in letter.error


def test_a_member_that_is_too_long_costs_no_other() -> None:
    data = archived("7zip", {"1.txt": b"one", "2.txt": b"x" * 50_000, "3.txt": b"three"})
    result = run_component(Document, [Packet({"data": data})], max_bytes=40_000)
    assert [packet["text"] for packet in result.packets] == ["one", "three"]
    assert "member=2.txt: it is longer than max_bytes (40000)" in result.dead_letters[0].error


def test_a_sum_that_is_wrong() -> None:
    data = archived("7zip", {"1.txt": b"one", "2.txt": b"two"}, "compression=copy").replace(b"one", b"onf")
    result = run_component(Document, [Packet({"data": data})])
    assert [packet["text"] for packet in result.packets] == ["two"]
    assert "member=1.txt: it is damaged: 7-Zip bad CRC" in result.dead_letters[0].error


@pytest.mark.parametrize("format", ["7zip", "cpio_newc", "cpio"])
def test_an_archive_never_ends_silently(format: str) -> None:
    data = archived(format, {"1.txt": b"one", "2.txt": b"two"})
    for end in range(8, len(data), 5):
        result = run_component(Document, [Packet({"data": data[:end]}, {"mimetype": "application/x-cpio"})])
        assert result.dead_letters or len(result.packets) == 2, end


@pytest.mark.parametrize("kind", ["7z", "cpio"])
@pytest.mark.parametrize("seed", range(40))
def test_damage_of_any_kind(kind: str, seed: int) -> None:
    chosen = random.Random(seed)
    data = bytearray(MADE[kind])
    for _ in range(chosen.choice([1, 3, 20])):
        data[chosen.randrange(8, len(data))] = chosen.randrange(256)
    result = run_component(Document, [Packet({"data": bytes(data)})])
    assert result.packets or result.dead_letters
    assert not [letter.error for letter in result.dead_letters if not letter.code.startswith(("document.", "html."))]


def test_without_the_library_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libarchive", None)  # importing it raises
    code, reason = refused(Document, MADE["7z"])
    assert code == "document.unknown"
    assert reason.endswith("apt-get install libarchive13")


def test_a_sum_by_which_a_tar_is_known_is_no_matter_of_chance() -> None:
    head = bytearray(tarfile.TarInfo("a.txt").tobuf(tarfile.USTAR_FORMAT))
    head[257:265] = bytes(8)
    result = run_component(Document, [Packet({"data": bytes(head) + bytes(1024)}, {"filename": "a.txt"})])
    assert result.dead_letters[0].code == "document.unknown"
    assert io.BytesIO(head).read(5) == b"a.txt"


def test_a_bomb_costs_itself() -> None:
    document = Document()
    document.configure({"max_unpacked_bytes": 4 << 20})
    with Pipeline(document) as pipeline:
        for data in (LONG, MADE["7z"]):
            packets = pipeline.push([Packet({"data": data})])
    assert [packet["text"] for packet in packets] == ["one", "two"]
    assert [letter.code for letter in pipeline.dead_letters] == ["document.too_large"]

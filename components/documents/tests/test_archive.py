"""Archive."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.archive_adapter import Archive

from .made import docx, packed, paragraph, tarred, zipped
from .reading import refused
from .test_eml import mail

FILES = {"a/b.txt": b"one", "a/c.md": b"# two", "a/.DS_Store": b"\0", "empty.txt": b"", "logo.png": b"\x89PNG\0"}


class TestArchive(ComponentSuite):
    component = Archive

    @pytest.mark.parametrize(
        "data",
        [
            zipped(FILES),
            *(pack(tarred(FILES)) for pack in (bytes, gzip.compress, bz2.compress, lzma.compress)),
        ],
        ids=["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"],
    )
    def test_members(self, data: bytes) -> None:
        result = run_component(Archive, [Packet({"data": data}, {"id": "7", "charset": "koi8-r"})])
        assert not result.dead_letters
        assert {packet.id: packet["text"] for packet in result.packets} == {
            "7/member=a%2Fb.txt": "one",
            "7/member=a%2Fc.md": "two",
        }
        assert [(packet.get_meta("path"), packet.get_meta("mimetype")) for packet in result.packets] == [
            ("a/b.txt", "text/plain"),
            ("a/c.md", "text/markdown"),
        ]
        assert result.counts == {"parts_skipped": 2}

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_one_compressed_file(self, pack: Callable[[bytes], bytes]) -> None:
        result = run_component(Archive, [Packet({"data": pack(b"# one")}, {"filename": "notes.md.gz"})])
        (packet,) = result.packets
        assert (packet.part, packet["title"], packet.get_meta("mimetype")) == ("member=notes.md", "one", "text/markdown")

    def test_files_in_files(self) -> None:
        made = mail()
        made.add_attachment(zipped({"d.docx": docx(paragraph("deep"))}), maintype="application", subtype="zip", filename="z.zip")
        result = run_component(Archive, [Packet({"data": zipped({"x.eml": made.as_bytes()})})])
        assert [packet.part for packet in result.packets] == [
            "member=x.eml",
            "member=x.eml/attachment=z.zip/member=d.docx",
        ]
        assert run_component(Archive, [Packet({"data": zipped({"x.eml": made.as_bytes()})})], max_depth=2).dead_letters

    def test_names_that_come_twice(self) -> None:
        with pytest.warns(UserWarning, match="Duplicate"):
            data = packed([("a", b"x"), ("a", b"x"), ("a (2)", b"x")])
        assert [packet.part for packet in run_component(Archive, [Packet({"data": data})]).packets] == [
            "member=a",
            "member=a (2)",
            "member=a (2) (2)",
        ]

    @pytest.mark.parametrize(
        ("data", "params", "code", "reason"),
        [
            (zipped({}), {}, "document.no_text", "no files"),
            (zipped({"a.png": FILES["logo.png"], "b": b""}), {}, "document.no_text", "nothing reads any of the 2 files in it"),
            (b"nothing", {}, "document.malformed", "no zip, tar"),
            (zipped(FILES)[:-30], {}, "document.malformed", "the archive is damaged"),
            (gzip.compress(b"x" * 99)[:-12], {}, "document.malformed", "the archive is damaged"),
            (packed(dict.fromkeys("abc", b"x")), {"max_parts": 2}, "document.too_large", "more than max_parts (2)"),
            (zipped({"a": b"x" * 5000}), {"max_bytes": 4000}, "document.too_large", "a in it is longer than max_bytes"),
            (zipped({"a": b"x" * 5000}), {"max_unpacked_bytes": 4000}, "document.too_large", "max_unpacked_bytes (4000)"),
            (gzip.compress(bytes(20 << 20)), {}, "document.too_large", "max_ratio (200)"),
            (zipped({"a": bytes(20 << 20)}), {}, "document.too_large", "max_ratio (200)"),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, params: dict[str, Any], code: str, reason: str) -> None:
        result = run_component(Archive, [Packet({"data": data})], **params)
        (letter,) = result.dead_letters
        assert letter.code == code
        assert reason in letter.error

    def test_an_encrypted_member(self) -> None:
        data = bytearray(packed({"a": b"x"}))
        for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(sign) + at] |= 1
        reason = "a in the archive is encrypted; pack it without a password"
        assert refused(Archive, bytes(data)) == ("document.encrypted", reason)

"""Archive."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from collections.abc import Callable
from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.archive_adapter import Archive
from pypes_documents.packages import COMPOUND

from .made import docx, packed, paragraph, tarred, zipped
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
        assert result.counts == {"parts_skipped": 2, "parts_skipped_empty": 1, "parts_skipped_other": 1}

    @pytest.mark.parametrize(
        ("meta", "outer"),
        [
            ({"filename": "all.zip"}, ["all.zip"]),
            ({"filename": "all.zip", "path": "in/all.zip"}, ["in/all.zip"]),
            ({"filename": "all.zip", "within": ["disk.img"]}, ["disk.img", "all.zip"]),
            ({"filename": "all.zip", "within": "elsewhere"}, ["all.zip"]),
            ({}, []),
        ],
    )
    def test_members_say_in_which_files_they_lie(self, meta: dict[str, Any], outer: list[str]) -> None:
        inside = mail(subject="Letter")
        inside.add_attachment("three", filename="c.txt")
        inside.add_attachment("four")
        data = packed({"a.txt": b"one", "in/b.zip": packed({"b.txt": b"two"}), "in/d.eml": inside.as_bytes()})
        result = run_component(Archive, [Packet({"data": data}, meta)])
        assert not result.dead_letters
        assert [(packet["text"].strip(), packet.get_meta("within"), packet.get_meta("path")) for packet in result.packets] == [
            ("one", outer or None, "a.txt"),
            ("two", [*outer, "in/b.zip"], "b.txt"),
            ("See you there.", outer or None, "in/d.eml"),
            ("three", [*outer, "in/d.eml"], None),
            ("four", [*outer, "in/d.eml"], None),
        ]

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_one_compressed_file(self, pack: Callable[[bytes], bytes]) -> None:
        result = run_component(Archive, [Packet({"data": pack(b"# one")}, {"filename": "notes.md.gz"})])
        (packet,) = result.packets
        assert (packet.part, packet["title"], packet.get_meta("mimetype")) == ("member=notes.md", "one", "text/markdown")

    def test_what_is_passed_over_has_a_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        files = {
            "a.txt": b"text",
            "b.rtf": b"{\\rtf1 A loom.}",
            "c.rar": b"Rar!\x1a\x07\x00",
            "d": b"",
            "e.doc": COMPOUND + bytes(512),
        }
        caplog.set_level("INFO")
        result = run_component(Archive, [Packet({"data": packed(files)}, {"id": "7"})])
        assert [packet["text"] for packet in result.packets] == ["text"]
        kinds = ("rtf", "rar", "empty", "office")
        assert result.counts == {"parts_skipped": 4, **{f"parts_skipped_{kind}": 1 for kind in kinds}}
        (told,) = [record.getMessage() for record in caplog.records if "passed over" in record.getMessage()]
        assert told.startswith("7: files in it are passed over: member=b.rtf: it is RTF, which no reader is for; convert it")
        assert "; member=c.rar: it is RAR" in told

    def test_what_holds_nothing_else_says_why(self) -> None:
        (letter,) = run_component(Archive, [Packet({"data": packed({"b.rtf": b"{\\rtf1 A loom.}"})})]).dead_letters
        assert letter.code == "document.no_text"
        assert "nothing reads any of the 1 files in it: member=b.rtf: it is RTF, which no reader is for" in letter.error

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
            (
                zipped({"a.png": FILES["logo.png"], "b": b""}),
                {},
                "document.no_text",
                "files in it: member=a.png: no reader",
            ),
            (b"nothing", {}, "document.malformed", "no zip, tar"),
            (zipped(FILES)[:-30], {}, "document.malformed", "the archive is damaged"),
            (gzip.compress(b"x" * 99)[:-12], {}, "document.malformed", "the archive is damaged"),
            (packed(dict.fromkeys("abc", b"x")), {"max_parts": 2}, "document.too_large", "more than max_parts (2)"),
            (zipped({"a": b"x" * 5000}), {"max_bytes": 4000}, "document.too_large", "member=a: it is longer than max_bytes"),
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

    @pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
    @pytest.mark.parametrize(
        ("change", "left", "reason"),
        [
            (
                lambda data: data[:2048] + b"x" * 512 + data[2560:],
                2,
                "behind a/2.txt, the tar is damaged or cut off: ReadError: invalid header",
            ),
            (lambda data: data[:2048] + b"a" * 600, 2, "behind a/2.txt, the tar is damaged or cut off"),
            (lambda data: data[:2048], 2, "behind a/2.txt, the tar is damaged or cut off"),
            (lambda data: data[:2300], 2, "behind a/2.txt, the tar is damaged or cut off"),
            (lambda data: data[:2561], 2, "behind a/3.txt, the tar is damaged or cut off: ReadError: unexpected end of data"),
            (
                lambda data: data + data,
                4,
                "behind link and the end of the tar, there is more: it was not read",
            ),
        ],
    )
    def test_a_tar_never_ends_silently(
        self, pack: Callable[[bytes], bytes], change: Callable[[bytes], bytes], left: int, reason: str
    ) -> None:
        data = tarred({f"a/{number}.txt": b"text" for number in range(1, 5)})
        result = run_component(Archive, [Packet({"data": pack(change(data))})])
        assert len(result.packets) == left
        (letter,) = result.dead_letters
        assert letter.code == "document.malformed"
        assert reason in letter.error

    def test_a_compressed_tar_that_is_cut_off(self) -> None:
        data = gzip.compress(tarred({f"{number}.txt": random.Random(number).randbytes(9000) for number in range(9)}))
        (letter,) = run_component(Archive, [Packet({"data": data[:60_000]})]).dead_letters
        assert letter.code == "document.malformed"
        assert "Compressed file ended before the end" in letter.error
        (letter,) = run_component(Archive, [Packet({"data": data[:-4]})]).dead_letters
        assert "Compressed file ended before the end" in letter.error

    @pytest.mark.parametrize(
        ("flips", "code", "reason"),
        [
            ([(b"PK\x03\x04", 6, 1), (b"PK\x01\x02", 8, 1)], "document.encrypted", "it is encrypted; pack it without a password"),
            ([(b"PK\x03\x04", 8, 99), (b"PK\x01\x02", 10, 99)], "document.malformed", "it is damaged: NotImplementedError"),
            ([(b"two", 0, 1)], "document.malformed", "it is damaged: BadZipFile: Bad CRC-32"),
            ([(b"PK\x03\x04", 0, 1)], "document.malformed", "it is damaged: BadZipFile: Bad magic number"),
        ],
    )
    def test_one_member_that_cannot_be_read_costs_no_other(
        self, flips: list[tuple[bytes, int, int]], code: str, reason: str
    ) -> None:
        data = bytearray(packed({"a/1.txt": b"one", "a/2.txt": b"two", "a/3.txt": b"three"}))
        for sign, offset, bits in flips:
            data[data.rindex(sign, 0, data.rindex(sign)) + offset if sign != b"two" else data.index(sign)] ^= bits
        result = run_component(Archive, [Packet({"data": bytes(data)})])
        assert [packet["text"] for packet in result.packets] == ["one", "three"]
        (letter,) = result.dead_letters
        assert letter.code == code
        assert f"1 of 3 files in it cannot be read; what could be read was sent on: member=a%2F2.txt: {reason}" in letter.error

    @pytest.mark.parametrize("make", [zipped, lambda files: gzip.compress(tarred(files))])
    def test_one_member_that_is_too_long_costs_no_other(self, make: Callable[[dict[str, bytes]], bytes]) -> None:
        data = make({"1.txt": b"one", "2.txt": b"x" * 50_000, "3.txt": b"three"})
        result = run_component(Archive, [Packet({"data": data})], max_bytes=40_000)
        assert [packet["text"] for packet in result.packets] == ["one", "three"]
        assert [letter.code for letter in result.dead_letters] == ["document.too_large"]
        assert "member=2.txt: it is longer than max_bytes (40000)" in result.dead_letters[0].error

    def test_a_bound_of_all_ends_all(self) -> None:
        data = zipped({"1.txt": b"one", "2.docx": docx(paragraph("x" * 5000)), "3.txt": b"three"})
        (letter,) = run_component(Archive, [Packet({"data": data})], max_unpacked_bytes=4000).dead_letters
        assert letter.code == "document.too_large"
        assert "what could be read was sent on: unpacked, it is longer than max_unpacked_bytes (4000)" in letter.error

    def test_all_that_failed_are_named(self) -> None:
        data = zipped({f"{number}.pdf": b"%PDF-1.4" for number in range(120)})
        (letter,) = run_component(Archive, [Packet({"data": data})]).dead_letters
        assert "120 of 120 files in it cannot be read: member=0.pdf: " in letter.error
        assert "; also member=5.pdf, member=6.pdf, " in letter.error
        assert letter.error.endswith("member=99.pdf and 20 more")

    def test_a_fault_of_a_reader_costs_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fault(packet: Packet, job: Any) -> None:
            raise KeyError("nobody thought of it")

        monkeypatch.setattr("pypes_documents.markdown_reader.read", fault)
        result = run_component(Archive, [Packet({"data": zipped({"1.md": "# one", "2.txt": "two"})})])
        assert [packet["text"] for packet in result.packets] == ["two"]
        assert [letter.code for letter in result.dead_letters] == ["component.raised"]
        assert "member=1.md: its reader failed: KeyError: 'nobody thought of it'" in result.dead_letters[0].error

"""Mailboxes."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Adapter
from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.document_adapter import Document
from pypes_documents.eml_adapter import EML

from .made import packed
from .reading import read
from .test_eml import mail

FROM = b"From ada@example.org Sun Nov 29 08:30:00 2026\n"
LINES = [
    FROM,
    b"From - Sun Nov 29 08:30:00 2026\n",
    b"From 1795@xxx Sun Nov 29 08:30:00 +0000 2026\n",
    b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011\n",
    b"From ada@example.org 2026-11-29 08:30:00\n",
    b"From ada@example.org 2026-11-29T08:30:00Z\n",
    b"From ada at example.org  Sun Nov 29 08:30 2026\n",
    b"From ada Sun Nov 29 08:30:00 MET DST 1998\n",
    b"From ada Sun Nov 29 08:30 CET 2026 remote from mill\n",
    b"From ada@example.org Sun, 29 Nov 2026 08:30:00 +0100\n",
    b"From ada@example.org Sun Nov 29 08:30:00 2026 +0100\n",
]


def letter(subject: str, text: str, id: str = "") -> bytes:
    return f"Subject: {subject}\nFrom: ada@example.org\n{f'Message-ID: <{id}>' if id else 'X-A: b'}\n\n{text}\n".encode()


def box(*mails: bytes, before: bytes = FROM) -> bytes:
    return b"".join(before + each + b"\n" for each in mails)


TWO = box(letter("Looms", "Cards choose.", "1@example.org"), letter("Yarn", "From the mill, at last."))


@pytest.mark.parametrize("adapter", [Document, EML])
@pytest.mark.parametrize("before", LINES)
def test_each_mail_is_a_member(adapter: type[Adapter], before: bytes) -> None:
    data = box(letter("Looms", "Cards choose.", "1@example.org"), letter("Yarn", "Madder."), before=before)
    result = run_component(adapter, [Packet({"data": data}, {"id": "7", "filename": "Inbox"})])
    assert not result.dead_letters
    assert [(packet.id, packet["title"], packet["text"]) for packet in result.packets] == [
        ("7/member=1@example.org", "Looms", "Cards choose."),
        ("7/member=2", "Yarn", "Madder."),
    ]
    assert [packet.get_meta(name) for packet in result.packets for name in ("filename", "mimetype", "within")] == [
        *("1.eml", "message/rfc822", ["Inbox"]),
        *("2.eml", "message/rfc822", ["Inbox"]),
    ]


@pytest.mark.parametrize(
    ("meta", "members"),
    [({}, 2), ({"mimetype": "text/plain"}, 2), ({"mimetype": "message/rfc822"}, 2), ({"mimetype": "application/mbox"}, 2)],
)
def test_a_mailbox_is_known_by_its_content(meta: dict[str, Any], members: int) -> None:
    result = run_component(Document, [Packet({"data": TWO}, meta)])
    assert len(result.packets) == members
    assert result.packets[1]["text"] == "From the mill, at last."


def test_one_mail_with_its_line_is_a_mail_unless_it_is_called_a_mailbox() -> None:
    one = box(letter("Looms", "Cards choose."))
    assert not read(Document, one).part
    assert read(Document, one, {"filename": "a.mbox"}).part == "member=1"


def test_attachments_within() -> None:
    made = mail(subject="Letter")
    made.add_attachment("three", filename="c.txt")
    data = packed({"in.mbox": box(letter("Looms", "Cards."), made.as_bytes())})
    result = run_component(Document, [Packet({"data": data}, {"filename": "a.zip"})])
    assert [packet.part for packet in result.packets][-1].endswith("/attachment=c.txt")
    assert result.packets[-1].get_meta("within") == ["a.zip", "in.mbox", "2.eml"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (">From the mill", "From the mill"),
        (">>From the mill", ">From the mill"),
        ("> From the mill", "> From the mill"),
        ("From Sun till Mon, at 10:30\nnothing", "From Sun till Mon, at 10:30\nnothing"),
        ("From here on Mon 10:00 we start\nNote: bring yarn", "From here on Mon 10:00 we start\nNote: bring yarn"),
        ("From 2026-11-29, or Sun, at 8:30\nNote: -", "From 2026-11-29, or Sun, at 8:30\nNote: -"),
        ("From the mill\nNote: at 10:30", "From the mill\nNote: at 10:30"),
    ],
)
def test_lines_of_a_text_that_begin_so(text: str, found: str) -> None:
    result = run_component(Document, [Packet({"data": box(letter("a", text), letter("b", "-"))})])
    assert [packet["text"] for packet in result.packets] == [found, "-"]


def test_mails_with_one_id() -> None:
    result = run_component(Document, [Packet({"data": box(*[letter("a", "-", "1@x")] * 2)})])
    assert [packet.part for packet in result.packets] == ["member=1@x", "member=1@x (2)"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_lines_of_windows_and_no_line_at_the_end(end: bytes) -> None:
    data = TWO.replace(b"\n", b"\r\n").rstrip() + end
    assert [packet["text"] for packet in run_component(Document, [Packet({"data": data})]).packets] == [
        "Cards choose.",
        "From the mill, at last.",
    ]


def test_one_mail_that_cannot_be_read_costs_no_other() -> None:
    data = box(letter("a", "one"), b"X-Empty: yes\n\n", letter("c", "three"))
    result = run_component(Document, [Packet({"data": data})])
    assert [packet["text"] for packet in result.packets] == ["one", "three"]
    (fault,) = result.dead_letters
    assert fault.code == "document.no_text"
    assert "1 of 3 files in it cannot be read; what could be read was sent on: member=2: the mail has no" in fault.error


def test_a_mailbox_that_is_cut_off() -> None:
    assert [packet["text"] for packet in run_component(Document, [Packet({"data": TWO[:-10]})]).packets][1] == "From the mill,"


@pytest.mark.parametrize(
    ("data", "meta", "params", "code", "reason"),
    [
        (b"From here on", {"mimetype": "application/mbox"}, {}, "document.malformed", "it is no mailbox"),
        (FROM, {"filename": "a.mbox"}, {}, "document.malformed", "it is no mailbox"),
        (FROM + b"\n" * 9, {"filename": "a.mbox"}, {}, "document.malformed", "it is no mailbox"),
        (TWO, {}, {"max_parts": 1}, "document.too_large", "more than max_parts (1)"),
        (
            box(b"X-A: b\n\n", b"X-A: b\n\n"),
            {},
            {},
            "document.no_text",
            "2 of 2 files in it cannot be read: member=1: the mail has no",
        ),
    ],
)
def test_what_cannot_be_read(data: bytes, meta: dict[str, Any], params: dict[str, Any], code: str, reason: str) -> None:
    result = run_component(Document, [Packet({"data": data}, meta)], **params)
    (fault,) = result.dead_letters
    assert (fault.code, reason in fault.error) == (code, True), fault.error

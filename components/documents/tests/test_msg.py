"""Mails of Outlook."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from pypes.component import Adapter
from pypes.packet import Packet
from pypes.testing import run_component
from pypes_documents.document_adapter import Document
from pypes_documents.eml_adapter import EML
from tests.needed import library

from .made import docx, paragraph, xlsx
from .made_msg import attachment, container, msg, recipient, text, ticks
from .reading import read, refused

library("olefile", "pypes-documents[msg]")

SENT = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)
INNER = msg(text("0037", "Within"), text("1000", "Deep."), attachment(0, "n.txt", b"note"), top=False)
MAIL = msg(
    text("0037", "Grüße"),
    text("1000", "Cards choose.\r\n\r\nThreads."),
    text("0C1A", "Ada Lovelace"),
    text("5D01", "ada@example.org"),
    text("1035", "<1@example.org>"),
    recipient(0, 1, "Charles", "charles@example.org"),
    recipient(1, 2, "copy@example.org", "copy@example.org"),
    recipient(2, 3, "Blind", "blind@example.org"),
    attachment(0, "Übersicht.docx", docx(paragraph("A table of cards. " * 300))),
    attachment(1, "Within", INNER),
    attachment(2, "logo.png", b"\x89PNG\r\n\x1a\n\0", "image/png"),
    p_00390040=ticks(SENT),
)
SENT_OVER_THE_INTERNET = text(
    "007D",
    "Received: by x; Sun, 29 Nov 2026 08:30:00 +0000\r\nFrom: =?utf-8?q?Ad=C3=A4?= <ada@example.org>\r\n"
    "To: a@example.org,\r\n b@example.org\r\nSubject: Cards\r\n"
    "Message-ID: <2@example.org>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
)


@pytest.mark.parametrize("adapter", [Document, EML])
def test_a_mail(adapter: type[Adapter]) -> None:
    result = run_component(adapter, [Packet({"data": container(MAIL)}, {"id": "7", "filename": "a.msg"})])
    assert not result.dead_letters, result.dead_letters[0].error
    assert [packet.id for packet in result.packets] == [
        "7",
        "7/attachment=Übersicht.docx",
        "7/attachment=Within.eml",
        "7/attachment=Within.eml/attachment=n.txt",
    ]
    assert result.packets[0].get_attributes() == {
        "title": ["Grüße"],
        "from": ["Ada Lovelace <ada@example.org>"],
        "to": ["Charles <charles@example.org>"],
        "cc": ["copy@example.org"],
        "created": ["2026-11-29T08:30:00Z"],
        "message_id": ["1@example.org"],
        "attachments": ["Übersicht.docx", "Within.eml", "logo.png"],
        "text": ["Cards choose.\n\nThreads."],
    }
    assert (result.packets[2]["title"], result.packets[2]["text"]) == ("Within", "Deep.")
    assert result.counts == {"parts_skipped": 1, "parts_skipped_picture": 1}


def test_headers_of_the_internet_go_before_properties() -> None:
    mail = msg(SENT_OVER_THE_INTERNET, text("0037", "RE: Cards"), text("1000", "x"), text("0C1A", "Other"))
    packet = read(Document, container(mail))
    assert packet.get_attributes() == {
        "title": ["Cards"],
        "from": ["Adä <ada@example.org>"],
        "to": ["a@example.org", "b@example.org"],
        "created": ["2026-11-29T08:30:00Z"],
        "message_id": ["2@example.org"],
        "text": ["x"],
    }


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"__substg1.0_10130102": "<meta charset=utf-8><p>Grün".encode()}, "Grün"),
        (text("1013", "<p>Grün"), "Grün"),
        ({"__substg1.0_1000001E": "Grün, schön".encode("windows-1252")}, "Grün, schön"),
    ],
)
def test_forms_of_the_text(body: dict[str, bytes], found: str) -> None:
    assert read(Document, container(msg(body, p_3FFD0003=1252)))["text"] == found


def test_what_is_attached_does_not_change_what_it_is() -> None:
    inner = container({"Workbook": b"x", "EncryptedPackage": b"x"})
    result = run_component(Document, [Packet({"data": container(msg(text("1000", "x"), attachment(0, "a.doc", inner)))})])
    assert result.packets[0]["text"] == "x"
    book = xlsx('<row><c t="str"><v>pirn</v></c></row>')
    result = run_component(Document, [Packet({"data": container(msg(text("1000", "x"), attachment(0, "a.xlsx", book)))})])
    assert [packet.part for packet in result.packets] == ["", "attachment=a.xlsx"]


def nested(depth: int) -> dict[str, Any]:
    inner: Any = msg(text("1000", "x"), top=False)
    for _ in range(depth):
        inner = msg(attachment(0, "m", inner), top=False)
    return {**msg(attachment(0, "m", inner))}


@pytest.mark.parametrize(
    ("data", "params", "code", "reason"),
    [
        (container(MAIL)[:1000], {}, "document.malformed", "the mail of Outlook is damaged"),
        (container(msg()), {}, "document.no_text", "no subject, no text"),
        (container(msg({"__substg1.0_10090102": b"x"})), {}, "document.no_text", "RTF alone"),
        (container(nested(25)), {}, "document.too_large", "more than 20 mails lie within one another"),
        (container(MAIL), {"max_parts": 2}, "document.too_large", "max_parts (2)"),
        (container(msg(text("1000", "x" * 9000))), {"max_unpacked_bytes": 1000}, "document.too_large", "unpacked_bytes (1000)"),
    ],
)
def test_what_cannot_be_read(data: bytes, params: dict[str, Any], code: str, reason: str) -> None:
    found = refused(Document, data, {"mimetype": "application/vnd.ms-outlook"}, **params)
    assert (found[0], reason in found[1]) == (code, True), found


@pytest.mark.parametrize("seed", range(60))
def test_damage_of_any_kind(seed: int) -> None:
    chosen = random.Random(seed)
    data = bytearray(container(MAIL))
    for _ in range(chosen.choice([1, 5, 50])):
        data[chosen.randrange(8, len(data))] = chosen.randrange(256)
    result = run_component(Document, [Packet({"data": bytes(data)})])
    assert result.packets or result.dead_letters
    assert not [letter.error for letter in result.dead_letters if not letter.code.startswith(("document.", "html."))]

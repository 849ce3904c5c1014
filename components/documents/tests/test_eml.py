"""EML."""

from __future__ import annotations

from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.eml_adapter import EML

from .made import docx, paragraph, pdf
from .reading import outline, read, refused

WISHES = "paragraph: Schöne Grüße aus der Stadt, wo es über Nacht kälter wurde."
HEAD = b"From: Ada <ada@example.org>\nSubject: Looms\n"


def mail(text: str = "See you there.", subject: str = "Looms") -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = subject
    made["From"] = "Ada <ada@example.org>"
    made.set_content(text)
    return made


class TestEML(ComponentSuite):
    component = EML

    def test_head(self) -> None:
        data = (
            b'From: =?iso-8859-1?q?Andr=E9?= <andre@example.org>\nTo: "Menabrea, L." <l@example.org>, bob@example.org\n'
            b"Cc: Gr\xfc\xdfe <g@example.org>\nReply-To: =?x-no-such?q?Ada?= <ada@example.org>\n"
            b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\n =?utf-8?q?_of?= looms\nDate: Sun, 29 Nov 2026 09:30:00 +0100 (CET)\n"
            b"Message-ID: <1@example.org>\nIn-Reply-To: <0@example.org>\nReferences: <a@x>\n <0@example.org>\nKeywords: a, b\n"
            b"Content-Language: en-GB, de\n\nHello.\n"
        )
        assert read(EML, data).get_attributes() == {
            "title": ["Grüße of looms"],
            "from": ["André <andre@example.org>"],
            "to": ['"Menabrea, L." <l@example.org>', "bob@example.org"],
            "cc": ["Grüße <g@example.org>"],
            "reply_to": ["Ada <ada@example.org>"],
            "created": ["2026-11-29T08:30:00Z"],
            "message_id": ["1@example.org"],
            "in_reply_to": ["0@example.org"],
            "references": ["a@x", "0@example.org"],
            "keywords": ["a", "b"],
            "language": ["en-GB"],
            "text": ["Hello."],
        }

    @pytest.mark.parametrize(
        ("data", "blocks"),
        [
            (
                b"\nOne.\r\n\r\n> said\r\n> more\r\n\r\nTwo\nlines.",
                ["paragraph: One.", "quote: > said\n> more", "paragraph: Two\nlines."],
            ),
            (b"Content-Type: text/html\n\n<h1>A</h1><p>b", ["heading1: A", "paragraph: b"]),
            (b"Content-Type: text/html\n\n<meta charset=koi8-r>\xd0\xd2\xc9", ["paragraph: при"]),
            ("Content-Type: text/plain; charset=x-odd\n\nGrüße".encode(), ["paragraph: Grüße"]),
            ("\nSchöne Grüße aus der Stadt, wo es über Nacht kälter wurde.".encode("latin-1"), [WISHES]),
            (b"Content-Transfer-Encoding: base64\n\nQSBsb29tLg==", ["paragraph: A loom."]),
            (b"Content-Transfer-Encoding: quoted-printable\n\nA =\nloom=2E", ["paragraph: A loom."]),
            (b"Content-Type: multipart/mixed; boundary=x\n\npreamble", ["paragraph: preamble"]),
        ],
    )
    def test_text(self, data: bytes, blocks: list[str]) -> None:
        assert outline(read(EML, HEAD + data)) == blocks

    def test_of_several_forms_the_plain_one_is_read(self) -> None:
        made = mail("plain")
        made.add_alternative("<p>page</p>", subtype="html")
        assert read(EML, made.as_bytes())["text"] == "plain"
        made = mail(" ")
        made.add_alternative("<p>page</p>", subtype="html")
        assert read(EML, made.as_bytes())["text"] == "page"

    def test_attachments_are_parts_read_by_their_own_readers(self) -> None:
        made = mail()
        made.add_attachment(pdf("A loom."), maintype="application", subtype="octet-stream", filename="a.pdf")
        made.add_attachment(docx(paragraph("A pirn.")), maintype="application", subtype="zip", filename="Größe.docx")
        made.add_attachment("notes", filename="a.pdf")
        made.add_attachment(b"\x89PNG\r\n\x1a\n\0\0", maintype="image", subtype="png", filename="logo.png")
        inner = mail("Inner.", "Re: Looms")
        inner.add_attachment("deep", filename="deep.txt")
        made.add_attachment(inner)
        result = run_component(EML, [Packet({"data": made.as_bytes()}, {"id": "7"})])
        assert not result.dead_letters
        assert result.counts == {"parts_skipped": 1}
        names = ("filename", "mimetype")
        assert {packet.part: (packet["text"], *map(packet.get_meta, names)) for packet in result.packets} == {
            "": ("See you there.", None, "message/rfc822"),
            "attachment=a.pdf": ("A loom.", "a.pdf", "application/pdf"),
            "attachment=Größe.docx": (
                "A pirn.",
                "Größe.docx",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            "attachment=a.pdf (2)": ("notes\n", "a.pdf", "text/plain"),
            "attachment=Re: Looms.eml": ("Inner.", "Re: Looms.eml", "message/rfc822"),
            "attachment=Re: Looms.eml/attachment=deep.txt": ("deep\n", "deep.txt", "text/plain"),
        }
        assert result.packets[0]["attachments"] == ["a.pdf", "Größe.docx", "a.pdf (2)", "logo.png", "Re: Looms.eml"]
        assert result.packets[1].id == "7/attachment=a.pdf"

    def test_one_that_cannot_be_read_costs_no_other(self) -> None:
        made = mail()
        made.add_attachment(pdf("x", password="p"), maintype="application", subtype="pdf", filename="secret.pdf")
        made.add_attachment("notes", filename="notes.txt")
        result = run_component(EML, [Packet({"data": made.as_bytes()})])
        assert [packet["text"] for packet in result.packets] == ["See you there.", "notes\n"]
        (letter,) = result.dead_letters
        assert letter.code == "document.encrypted"
        assert letter.error == (
            "1 of 2 files in it cannot be read; what could be read was sent on: attachment=secret.pdf: the PDF needs a password;"
            " save it without one"
        )

    def test_pictures_may_be_asked_for(self) -> None:
        made = mail()
        made.add_attachment(b"\x89PNG\r\n\x1a\n\0\0", maintype="image", subtype="png", filename="logo.png")
        (letter,) = run_component(EML, [Packet({"data": made.as_bytes()})], unknown="fail").dead_letters
        assert letter.code == "document.unknown"
        assert "no reader is for logo.png (image/png)" in letter.error

    def test_a_subject_is_something(self) -> None:
        packet = read(EML, HEAD + b"\n")
        assert (packet["title"], packet["text"]) == ("Looms", "")
        assert refused(EML, b"From: a@example.org\n\n \n") == (
            "document.no_text",
            "the mail has no subject, no text and no attachments",
        )
        assert refused(EML, b"")[0] == "document.malformed"

    def test_mails_within_mails_end_somewhere(self) -> None:
        nested = mail("innermost")
        for _ in range(8):
            outer = MIMEMultipart()
            outer["Subject"] = "outer"
            outer.attach(MIMEText("text"))
            inner = EmailMessage()
            inner["Subject"] = "x"
            outer.attach(_wrapped(nested))
            nested = outer  # type: ignore[assignment]
        result = run_component(EML, [Packet({"data": nested.as_bytes()})])
        assert len(result.packets) == 6
        (letter,) = result.dead_letters
        assert letter.code == "document.too_large"
        assert "deeper than max_depth (5)" in letter.error


def _wrapped(inner: EmailMessage) -> MIMEMultipart:
    from email.mime.message import MIMEMessage

    return MIMEMessage(inner)  # type: ignore[return-value]

"""EML."""

from __future__ import annotations

from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.eml_adapter import EML

from .made import docx, packed, paragraph, pdf
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

    @pytest.mark.parametrize(("meta", "outer"), [({"filename": "m.eml", "path": "in/m.eml"}, "in/m.eml"), ({}, "Looms")])
    def test_an_attachment_says_in_which_mail_it_lies(self, meta: dict[str, Any], outer: str) -> None:
        made = mail()
        made.add_attachment("A loom.", filename="a.txt")
        made.add_attachment(packed({"in/b.txt": b"A warp."}), maintype="application", subtype="zip", filename="b.zip")
        result = run_component(EML, [Packet({"data": made.as_bytes()}, meta)])
        assert not result.dead_letters
        places = [[packet.get_meta(name) for name in ("within", "path", "filename")] for packet in result.packets[1:]]
        assert places == [[[outer], None, "a.txt"], [[outer, "b.zip"], "in/b.txt", "b.txt"]]
        assert result.packets[0].get_meta("within") is None

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
        assert result.counts == {"parts_skipped": 1, "parts_skipped_picture": 1}
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

    def test_a_mail_within_that_cannot_be_written_costs_no_other(self) -> None:
        inner = b"Subject: inner\n"
        for depth in range(400):
            inner += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth)
        parts = (b"Content-Type: message/rfc822\n\n" + inner, b"Content-Disposition: attachment; filename=n.txt\n\nnotes")
        data = HEAD + b"Content-Type: multipart/mixed; boundary=o\n\n--o\n" + b"\n--o\n".join(parts) + b"\n--o--\n"
        result = run_component(EML, [Packet({"data": data})])
        assert [packet["text"] for packet in result.packets] == ["", "notes"]
        (letter,) = result.dead_letters
        assert letter.code == "document.malformed"
        assert "attachment=inner.eml: it is damaged: RecursionError" in letter.error

    def test_a_page_goes_before_an_invitation(self) -> None:
        made = MIMEMultipart("alternative")
        made["Subject"] = "Looms"
        made.attach(MIMEText("<p>page</p>", "html"))
        made.attach(MIMEText("BEGIN:VCALENDAR", "calendar"))
        result = run_component(EML, [Packet({"data": made.as_bytes()})])
        assert [packet["text"] for packet in result.packets] == ["page", "BEGIN:VCALENDAR"]

    def test_a_text_that_cannot_be_read_costs_no_attachment(self) -> None:
        made = mail()
        made.replace_header("Content-Type", "text/html")
        made.set_payload("<div>" * 20_000)
        made.add_attachment("notes", filename="notes.txt")
        result = run_component(EML, [Packet({"data": made.as_bytes()})])
        assert [packet["text"] for packet in result.packets] == ["notes\n"]
        (letter,) = result.dead_letters
        assert letter.code == "html.too_nested"
        assert "the document itself cannot be read; what could be read was sent on: " in letter.error

    @pytest.mark.parametrize(
        "head",
        [
            b"Content-Type: text/plain; charset*=utf-8''%C3%A9",
            b"Content-Type: text/plain; charset*=x-odd''%E9",
            b'Content-Type: text/plain; charset="a\0b"',
            b"Content-Type: text/plain; charset=\xe9",
            b"Content-Type: text/plain; name*=x-odd''%E9",
            b"Content-Type: text/plain; name*0*=x-odd''%E9; name*1=b",
            b'Content-Type: text/plain; name="=?x-odd?q?=E9?="',
            b"Content-Type: ;;;",
            b"Content-Type: \xe9/\xe9",
            b"Content-Type: message/rfc822",
            b"Content-Type: message/delivery-status",
            b"Content-Type: message/external-body",
            b"Content-Type: multipart/alternative; boundary=b",
            b"Content-Type: multipart/mixed",
            b"Content-Disposition: \xe9; filename=\xe9",
            b"Content-Disposition: attachment; filename*=a",
            b"Content-Disposition: attachment; filename*=utf-8''%ff%fe",
            b"Content-Transfer-Encoding: base64",
            b"Content-Transfer-Encoding: x-uuencode",
            b"Content-Transfer-Encoding: \xe9",
            b"Date: Sun, 99 Nov 99999999999 99:99:99 +999999",
            b'From: "\xe9 <@,;:<>',
            b"Subject: =?utf-8?b?A?= =?x?x?x?= =?utf-8?b?====?=",
        ],
    )
    @pytest.mark.parametrize("body", [b"Gr\xfc\xdfe", b"", b"begin 644 x\n#:&D*\n \nend\n"])
    def test_odd_heads_and_bodies_have_a_fate(self, head: bytes, body: bytes) -> None:
        for data in (
            b"X: 1\n" + head + b"\n\n" + body,
            HEAD + b"Content-Type: multipart/mixed; boundary=o\n\n--o\n" + head + b"\n\n" + body + b"\n--o--\n",
        ):
            result = run_component(EML, [Packet({"data": data})])
            assert result.packets or result.dead_letters
            assert [letter.error for letter in result.dead_letters if not letter.code.startswith(("document.", "html."))] == []

    def test_bounds(self) -> None:
        made = mail()
        for number in range(5):
            made.add_attachment(f"notes {number}", filename=f"{number}.txt")
        result = run_component(EML, [Packet({"data": made.as_bytes()})], max_parts=3)
        assert len(result.packets) == 4
        (letter,) = result.dead_letters
        assert letter.code == "document.too_large"
        assert "there are more than max_parts (3) parts in it" in letter.error

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

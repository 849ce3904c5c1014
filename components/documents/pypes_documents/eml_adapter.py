"""EML: a mail, and its attachments as parts."""

from __future__ import annotations

from typing import ClassVar

from pypes import Example, Packet
from pypes_documents.formats import FORMATS, format_of
from pypes_documents.nested_adapter import NestedAdapter


class EML(NestedAdapter):
    """Read a mail: head and text in one packet, each attachment in another, read by the reader for it.

    Of a text in several forms the plain one is read, unless it is empty. Fields are those of the vocabulary: ``title`` (the
    subject), ``text``, ``from``, ``to``, ``cc``, ``reply_to``, ``created``, ``message_id``, ``in_reply_to``, ``references``,
    ``attachments`` (names). An attachment is the part ``attachment=NAME`` of the mail, or its number where it
    has no name; its metadata ``within`` names the mail, by its file or its subject.

    A mail of Outlook (MSG) is read alike, with the extra ``msg``; one whose text is RTF alone is a dead letter. Of a mailbox
    (mbox), each mail is the part ``member=ID``, with its ``Message-ID`` or else its number, and an attachment of it the part
    ``member=ID/attachment=NAME``.

    An attachment that cannot be read makes the mail a dead letter that names it, while the mail and all others have been sent on;
    those that no reader is for, such as pictures, are passed over and counted (``parts_skipped``, and by kind,
    such as ``parts_skipped_rtf``), and the log says why.

    Dead letters: ``document.malformed``, ``document.too_large`` (a bound is exceeded), ``document.no_text`` (no subject, no text,
    no attachment), and those of attachments.
    """

    icon = "mail"
    tags = ("format", "mail")
    example = Example(
        takes=Packet({"data": b"From: Ada <ada@example.org>\nTo: bob@example.org\nSubject: Looms\n\nSee you there.\n"}),
        gives=Packet.from_document(
            {"title": "Looms", "from": "Ada <ada@example.org>", "to": ["bob@example.org"], "text": "See you there."}
        ),
    )
    accepts: ClassVar[tuple[str, ...]] = (*(media_type for name in ("eml", "mbox", "msg") for media_type in FORMATS[name].types),)

    def format(self, packet: Packet) -> str:
        found = format_of(packet)
        return found if found in ("mbox", "msg") else "eml"

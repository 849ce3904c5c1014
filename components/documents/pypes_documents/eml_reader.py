"""The head, text and attachments of a mail (RFC 5322, MIME).

The parser of the standard library in its older way (``compat32``): the newer one is seven times slower, and raises over character
sets that it does not know. Encoded words and texts are decoded here, by the rules that hold for all text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import collapse_rfc2231_value, formataddr, getaddresses
from typing import Any, Final

from pypes import Packet, Reject
from pypes_basic.charset import decode
from pypes_documents.dates import date_of_mail
from pypes_documents.html_reader import parsed
from pypes_documents.job import MALFORMED, NO_TEXT, TOO_LARGE, Job, Text, Unread, file_in, put_facts
from pypes_documents.names import Names
from pypes_documents.plain import as_list, paragraphs_of, plain_line, plain_text

#: Heads of parts, all in all; the mail with the most that was seen had 400.
MOST_PARTS: Final = 5_000
#: Longer headers are left as they are: words in their thousands are put together in a time that grows with their square.
MOST_HEADER_CHARS: Final = 100_000
_HEAD: Final = re.compile(rb"^content-type\s*:", re.IGNORECASE | re.MULTILINE)
_BOUNDARY: Final = re.compile(rb"\bboundary\s{0,9}=\s{0,9}\"?([^\s\";]{1,200})", re.IGNORECASE)
_PARTING: Final = re.compile(rb"^--([^\s]{1,200})[ \t]*\r?$", re.MULTILINE)
_TEXTS: Final = ("text/plain", "text/html", "multipart/related")
_ID: Final = re.compile(r"<([^<>\s]+)>")


def read(packet: Packet, job: Job) -> Iterator[Packet | Unread]:
    """Fill a packet with a mail; yields its attachments, also those of a mail whose text cannot be read."""
    data = job.take(packet)
    if _has_too_many_parts(data):
        raise Reject(f"the mail has more than {MOST_PARTS} parts", TOO_LARGE)
    try:
        mail = message_from_bytes(data, policy=policy.compat32)
    except RecursionError as error:
        raise Reject("mails are nested too deeply in this one", TOO_LARGE) from error
    except (MessageError, ValueError, AttributeError) as error:
        raise Reject(f"the mail is damaged: {error}", MALFORMED) from error
    if not mail.keys():
        raise Reject("it is no mail: it has no head", MALFORMED)
    yield from read_mail(packet, mail, job)


def read_mail(packet: Packet, mail: Message, job: Job) -> Iterator[Packet | Unread]:
    """Fill a packet with a mail that was parsed; yields its attachments."""
    bodies, attached = _sorted_parts(mail)
    names = list(_names(attached))
    facts = _facts(mail)
    text = job.text()
    fault: Reject | None = None
    try:
        for body in bodies:
            _add_body(body, text)
    except Reject as found:
        fault = found
    if not (fault or text.blocks or attached or facts.get("title")):
        raise Reject("the mail has no subject, no text and no attachments", NO_TEXT)
    if fault is None:
        put_facts(packet, {**facts, "attachments": names})
        text.put(packet)
    for part, name in zip(attached, names, strict=True):
        job.begin_part()
        yield _attachment(packet, part, name)
    if fault is not None:
        raise fault


def _has_too_many_parts(data: bytes) -> bool:
    """True for a mail that would take the parser minutes: parts have heads, or at least lines that part them."""
    if sum(1 for _ in _HEAD.finditer(data)) > MOST_PARTS:
        return True
    if data.count(b"\n--") <= MOST_PARTS:  # PERF: as nearly always
        return False
    boundaries = set(_BOUNDARY.findall(data))
    return sum(line[1] in boundaries for line in _PARTING.finditer(data)) > MOST_PARTS


def _sorted_parts(mail: Message) -> tuple[list[Message], list[Message]]:
    """The parts that are the text of a mail, and its attachments."""
    bodies: list[Message] = []
    attached: list[Message] = []
    waiting: list[Message] = [mail]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        inside = _inside(part)
        if part.get_content_maintype() == "multipart" and inside is not None:
            if kind == "multipart/alternative":
                inside = _best(inside)
            waiting += reversed(inside)
        elif part.get_content_maintype() == "multipart":
            bodies.append(part)  # it does not have the boundary that it names
        elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment" and not _filename(part):
            bodies.append(part)
        elif part is not mail or inside or _bytes(part):
            attached.append(part)
    return bodies, attached


def _best(parts: list[Message]) -> list[Message]:
    """Of several forms of one text the plain one, or the last one if that is empty; with what is no text."""
    plain = [part for part in parts if part.get_content_type() == "text/plain" and _bytes(part).strip()]
    texts = plain[:1] or [part for part in parts if part.get_content_type() in _TEXTS][-1:]
    return [*texts, *(part for part in parts if part.get_content_type() not in _TEXTS)]


def _add_body(part: Message, text: Text) -> None:
    if part.get_content_type() == "text/html":
        parsed(_bytes(part), part.get_content_charset()).add_text(text)
        return
    content, _ = decode(_bytes(part), part.get_content_charset())
    for paragraph in paragraphs_of(plain_text(content.replace("\r\n", "\n"))):
        quoted = all(line.startswith(">") for line in paragraph.split("\n"))
        text.add(paragraph, "quote" if quoted else "paragraph")


def _inside(part: Message) -> list[Message] | None:
    """The parts of a part; ``None`` for one that has none, which is not asked for its text: its charset may be anything."""
    inside: Any = part.get_payload() if part.is_multipart() else None
    return inside if isinstance(inside, list) else None


def _bytes(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachment(packet: Packet, part: Message, name: str) -> Packet | Unread:
    inside = _inside(part) if part.get_content_maintype() == "message" else None
    try:
        data = b"".join(mail.as_bytes() for mail in inside) if inside is not None else _bytes(part)
    except (LookupError, UnicodeError, MessageError, RecursionError) as error:
        return Unread.of(packet, "attachment", name, Reject(f"it is damaged: {type(error).__name__}: {error}", MALFORMED))
    meta = {"mimetype": part.get_content_type(), "filename": plain_line(_filename(part)) or name}
    if charset := part.get_content_charset():
        meta["charset"] = charset
    return file_in(packet, "attachment", name, data, meta)


def _names(attached: list[Message]) -> Iterator[str]:
    """Names of attachments, by which their ids are made: each once, and numbers for those without."""
    names = Names()
    for number, part in enumerate(attached, 1):
        yield names.add(plain_line(_filename(part)) or str(number))


def _filename(part: Message) -> str:
    """The file name of a part; a mail within the mail is named by its subject."""
    for header, name in (("content-disposition", "filename"), ("content-type", "name")):
        found: Any = part.get_param(name, header=header)
        if found:
            return _decoded(collapse_rfc2231_value(found, "replace", "utf-8"))
    inside = _inside(part)
    if part.get_content_type() == "message/rfc822" and inside:
        subject = plain_line(_decoded(inside[0].get("subject")))
        return f"{subject[:80]}.eml" if subject else ""
    return ""


def _facts(mail: Message) -> dict[str, Any]:
    received = mail.get_all("received") or [""]
    return {
        "title": _decoded(mail.get("subject")),
        "from": "".join(_addresses(mail, "from")[:1]),
        "to": _addresses(mail, "to"),
        "cc": _addresses(mail, "cc"),
        "reply_to": _addresses(mail, "reply-to"),
        "created": date_of_mail(str(mail.get("date", ""))) or date_of_mail(str(received[0]).rpartition(";")[2]),
        "message_id": "".join(_ids(mail, "message-id")[:1]),
        "in_reply_to": "".join(_ids(mail, "in-reply-to")[:1]),
        "references": _ids(mail, "references"),
        "keywords": as_list(_decoded(mail.get("keywords"))),
        "language": str(mail.get("content-language", "")).partition(",")[0],
    }


def _ids(mail: Message, name: str) -> list[str]:
    return _ID.findall(_decoded(mail.get(name)))


def _addresses(mail: Message, name: str) -> list[str]:
    """The addresses of a header, ``Name <name@example.org>`` each; told apart before names are decoded (RFC 2047, 6.2)."""
    values = [_raw(value) for value in mail.get_all(name, [])]
    found = getaddresses(values)
    if found == [("", "")]:  # newer versions of Python give up all over an odd one
        return [_decoded(value) for value in values]
    return [_address(_decoded(real), address) for real, address in found if real or address]


def _address(name: str, address: str) -> str:
    if not name:
        return address
    if not address.isascii() or not name.isascii():
        return f"{name} <{address}>" if address else name
    return formataddr((name, address)) if address else name


def _raw(value: Any) -> str:
    """A header as text; bytes beyond ASCII, which it must not have, as UTF-8 or else windows-1252: too few for a guess."""
    text = str(value) if isinstance(value, str) else str(getattr(value, "_chunks", [[""]])[0][0])
    if text.isascii():
        return text
    data = text.encode("utf-8", "surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")


def _decoded(value: Any) -> str:
    """A header with its encoded words decoded, whatever their character sets."""
    if value is None:
        return ""
    text = _raw(value)
    if "=?" not in text or len(text) > MOST_HEADER_CHARS:
        return text
    try:
        pieces = decode_header(" ".join(text.split()))
    except (MessageError, ValueError):
        return text
    return "".join(piece if isinstance(piece, str) else _word(piece, charset) for piece, charset in pieces)


def _word(piece: bytes, charset: str | None) -> str:
    if charset is None:
        return piece.decode("ascii", "replace") if piece.isascii() else piece.decode("raw_unicode_escape", "replace")
    return decode(piece, charset.partition("*")[0])[0]

"""Mails in a mailbox file (mbox): each begins behind a line ``From SENDER DATE`` (RFC 4155 and the forms before it)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import IO, Final

from pypes import Packet, Reject
from pypes_documents.job import MALFORMED, Job, file_in
from pypes_documents.names import Names
from pypes_documents.plain import plain_line

_DAY: Final = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH: Final = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME: Final = rb"\d?\d:\d\d(?::\d\d)?"
#: Dates as programs write them: that of C, with a time zone before or behind the year; that of mails; and ISO 8601.
_DATE: Final = b"|".join(
    (
        rb"%s,? +%s +\d?\d,? +%s(?: +[-+\w]+){0,2} +\d{4}" % (_DAY, _MONTH, _TIME),
        rb"(?:%s, +)?\d?\d +%s +\d{4} +%s" % (_DAY, _MONTH, _TIME),
        rb"\d{4}-\d\d-\d\d[ T]%s" % _TIME,
    )
)
#: The line before a mail. Sentences may begin with its word, too, and name a day and a time.
_FROM: Final = re.compile(rb"From [^\n]{0,500}?\b(?:%s)" % _DATE)
_HEADER: Final = re.compile(rb">From |[!-9;-~]{1,200}:")
_BEGIN: Final = re.compile(rb"\s*" + _FROM.pattern + rb"[^\n]*\n(?:" + _HEADER.pattern + rb")")
_QUOTED: Final = re.compile(rb">+From ")
_ID: Final = re.compile(rb"^message-id:\s*<([^<>\s]{1,500})>", re.IGNORECASE | re.MULTILINE)
_HEAD_BYTES: Final = 1 << 16
#: Longer lines come in pieces.
_LINE_BYTES: Final = 1 << 16


def read(packet: Packet, job: Job) -> Iterator[Packet]:
    """Yield the mails as packets, each known by its ``Message-ID``, or else by its number. The mailbox has nothing to say."""
    names = Names()
    number = 0
    with job.take_file(packet) as file:
        for number, mail in enumerate(_mails(file), 1):
            job.begin_part()
            found = _ID.search(mail[:_HEAD_BYTES].partition(b"\n\n")[0])
            place = names.add((plain_line(found[1].decode("ascii", "replace")) if found else "") or str(number))
            yield file_in(packet, "member", place, mail, {"filename": f"{number}.eml", "mimetype": "message/rfc822"})
    if not number:
        raise Reject("it is no mailbox: it does not begin with a line From, with sender and date, and a mail", MALFORMED)


def is_mailbox(packet: Packet, head: bytes, *, is_called_so: bool) -> bool:
    """True for the bytes of a packet that begin so, if they are mails and not one that somebody has saved with its ``From``."""
    if _BEGIN.match(head) is None or is_called_so:
        return is_called_so and head.lstrip().startswith(b"From ")
    with packet.open("data") as body:
        return len(list(islice((line for line in _lines(body) if line is None), 2))) == 2


def _mails(file: IO[bytes]) -> Iterator[bytes]:
    """The mails of a mailbox, without the lines before them."""
    mail: bytearray | None = None
    for line in _lines(file):
        if line is not None and mail is not None:
            mail += line
        elif line is None:
            if mail is not None:
                yield _whole(mail)
            mail = bytearray()
    if mail is not None:
        yield _whole(mail)


def _whole(mail: bytearray) -> bytes:
    """A mail without the line break that parts it from the next."""
    return bytes(mail.removesuffix(b"\n").removesuffix(b"\r"))


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """The lines of all mails; ``None`` where the next mail begins. Nothing if something else comes first."""
    waiting = b""  # a line that is one before a mail if a header follows
    is_mail = False
    begins = True
    while line := file.readline(_LINE_BYTES):
        if waiting and _HEADER.match(line):
            yield None
            is_mail = True
        elif waiting and is_mail:
            yield waiting
        waiting = line if begins and _FROM.match(line) else b""
        if is_mail and not waiting:
            yield line[1:] if begins and _QUOTED.match(line) else line
        elif not waiting and line.strip():
            return
        begins = line.endswith(b"\n")
    if waiting and is_mail:
        yield waiting

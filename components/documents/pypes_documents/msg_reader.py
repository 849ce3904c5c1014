"""Mails of Outlook (MSG, [MS-OXMSG]) as those of the internet, which the reader of mails takes from there.

An MSG is a folder of properties in Microsoft's older container. Each property of variable length is a file named for its number
and type, those of fixed length stand in a table; recipients, attachments and mails within are folders of the same kind.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import encoders, message_from_string
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.utils import format_datetime, formataddr
from typing import Final

from olefile import OleFileIO

from pypes import Packet, Reject
from pypes_basic.charset import decode
from pypes_documents.eml_reader import read_mail
from pypes_documents.job import MALFORMED, NO_TEXT, TOO_LARGE, Job, Unread

#: Faults of a container, and of properties in it, that is damaged.
_DAMAGED: Final = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error)
#: Mails within mails that are taken out.
_MOST_DEPTH: Final = 20
_UNICODE, _BYTES, _BINARY, _FOLDER = "001F", "001E", "0102", "000D"
#: Headers of the mail as it was sent that the reader of mails looks at; others tell how its parts were put together.
_HEADERS: Final = (
    *("from", "to", "cc", "reply-to", "subject", "date", "received", "message-id", "in-reply-to", "references", "keywords"),
    "content-language",
)
#: Header → property, where the mail has no headers, as a draft or one that never left its server.
_PROPERTIES: Final = {"subject": "0037", "message-id": "1035", "in-reply-to": "1042", "references": "1039"}
_TO, _CC = 1, 2
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)


def read(packet: Packet, job: Job) -> Iterator[Packet | Unread]:
    """Fill a packet with a mail; yields its attachments."""
    data = job.take(packet)
    try:
        with OleFileIO(io.BytesIO(data)) as file:
            mail = _Folder(file, (), 32, job).mail(0)
    except _DAMAGED as error:
        raise Reject(f"the mail of Outlook is damaged: {type(error).__name__}: {error}", MALFORMED) from error
    return read_mail(packet, mail, job)


class _Folder:
    """A mail, a recipient or an attachment."""

    def __init__(self, file: OleFileIO, path: tuple[str, ...], head_bytes: int, job: Job) -> None:
        """``head_bytes`` stand before the table of properties of fixed length."""
        self._file, self._path, self._job = file, path, job
        table = self._stream("__properties_version1.0")[head_bytes:]
        #: The values of fixed length, by number and type.
        self._fixed = {
            f"{number:04X}{type:04X}": table[at + 8 : at + 16]
            for at in range(0, len(table) - 15, 16)
            for type, number in [struct.unpack_from("<HH", table, at)]
        }

    def mail(self, depth: int) -> Message:
        """The folder as a mail. Raises ``Reject`` for one that nests too deeply, and for a text that is RTF alone."""
        if depth > _MOST_DEPTH:
            raise Reject(f"more than {_MOST_DEPTH} mails lie within one another", TOO_LARGE)
        mail = MIMEMultipart("mixed")
        self._add_headers(mail)
        if plain := self._text("1000"):
            mail.attach(_part("text/plain; charset=utf-8", plain.encode("utf-8", "replace")))
        elif page := self._stream(f"__substg1.0_1013{_BINARY}"):
            mail.attach(_part("text/html", page))
        elif page_text := self._text("1013"):
            mail.attach(_part("text/html; charset=utf-8", page_text.encode("utf-8", "replace")))
        elif self._stream(f"__substg1.0_1009{_BINARY}"):
            raise Reject("the text of the mail is RTF alone, which no reader is for; save it from Outlook as text", NO_TEXT)
        for folder in self._folders("__attach_version1.0_#", 8):
            mail.attach(folder.attachment(depth))
        return mail

    def attachment(self, depth: int) -> Message:
        """The folder as an attachment: a file, or a mail."""
        name = self._text("3707") or self._text("3704") or self._text("3001")
        within = (*self._path, f"__substg1.0_3701{_FOLDER}")
        if self._file.exists([*within]):
            part: Message = MIMEBase("message", "rfc822")
            part.attach(_Folder(self._file, within, 24, self._job).mail(depth + 1))
            name = f"{name}.eml" if name and not name.lower().endswith((".eml", ".msg")) else name
        else:
            type = self._text("370E")
            part = _part(type if "/" in type else "application/octet-stream", self._stream(f"__substg1.0_3701{_BINARY}"))
        part.add_header("Content-Disposition", "attachment", **({"filename": ("utf-8", "", name)} if name else {}))
        return part

    def _add_headers(self, mail: Message) -> None:
        sent = message_from_string(self._text("007D"))
        for name in _HEADERS:
            for value in sent.get_all(name, []):
                mail[name] = value
        for name, number in _PROPERTIES.items():
            if name not in mail and (value := " ".join(self._text(number).split())):
                mail[name] = value
        if "from" not in mail:
            mail["from"] = _address(self._text("0C1A") or self._text("0042"), self._text("5D01") or self._text("0C1F"))
        if "date" not in mail and (moment := self._moment("0039") or self._moment("0E06")):
            mail["date"] = format_datetime(moment)
        if "to" in mail or "cc" in mail:
            return
        for folder in self._folders("__recip_version1.0_#", 8):
            kind = int.from_bytes(folder._fixed.get("0C150003", b"")[:4], "little")
            if kind in (_TO, _CC):
                found = _address(folder._text("3001"), folder._text("39FE") or folder._text("3003"))
                mail["to" if kind == _TO else "cc"] = found

    def _folders(self, prefix: str, head_bytes: int) -> Iterator[_Folder]:
        depth = len(self._path)
        found = self._file.listdir(streams=False, storages=True)
        for path in sorted(tuple(each) for each in found if len(each) == depth + 1 and each[depth].startswith(prefix)):
            if path[:depth] == self._path:
                self._job.begin_part()
                yield _Folder(self._file, path, head_bytes, self._job)

    def _stream(self, name: str) -> bytes:
        path = [*self._path, name]
        if not self._file.exists(path):
            return b""
        data: bytes = self._file.openstream(path).read()
        self._job.unpack(len(data))
        return data

    def _text(self, number: str) -> str:
        """The text of a property, ``""`` if it is not there."""
        if data := self._stream(f"__substg1.0_{number}{_UNICODE}"):
            return data.decode("utf-16-le", "replace").rstrip("\0")
        page = int.from_bytes(self._fixed.get("3FFD0003", b"")[:4], "little")
        return decode(self._stream(f"__substg1.0_{number}{_BYTES}"), f"windows-{page}" if page else None)[0].rstrip("\0")

    def _moment(self, number: str) -> datetime | None:
        ticks = int.from_bytes(self._fixed.get(f"{number}0040", b""), "little")
        try:
            return _EPOCH + timedelta(microseconds=ticks // 10) if ticks else None
        except OverflowError:
            return None


def _part(media_type: str, data: bytes) -> Message:
    part = Message()
    part["Content-Type"] = " ".join(media_type.split())
    part.set_payload(data)
    encoders.encode_base64(part)
    return part


def _address(name: str, address: str) -> str:
    """An address with its name; those within a server of Exchange (``/o=…``) are none."""
    if "@" not in address or not address.isascii():
        return name
    return formataddr((name if name != address else "", address))

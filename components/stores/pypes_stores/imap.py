"""IMAP: fetch the mails of folders of a mailbox, and delete the documents of those that are gone."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Annotated, Any, Final

from pypes import Example, Help, Packet, Parameters, Source
from pypes.core.file_names import in_one_line
from pypes.errors import ComponentError
from pypes_basic.fetched import Fetched, in_batches, longest_data, too_large
from pypes_basic.naming import deletion, id_help
from pypes_basic.seen import are_too_many
from pypes_stores.mail_cursor import MailCursor, Mails, Numbering
from pypes_stores.mail_login import PORTS, Security, logged_in
from pypes_stores.mail_names import is_among
from pypes_stores.mail_session import Mail, MailSession

#: Documents that are stored at once: so many, or a share of those known where the cursor has an id for each; or bytes.
BATCH_MAILS: Final = 256
BATCH_SHARE: Final = 16
MOST_MAILS: Final = 4096
BATCH_BYTES: Final = 4 << 20
#: About what a document has beside its bytes.
META_BYTES: Final = 1024
#: Bytes that the metadata of a mail never reach.
MOST_META_BYTES: Final = 1 << 14
#: The Message-ID is within so many bytes, or the mail is known by its place.
HEAD_BYTES: Final = 1 << 18
MEDIA_TYPE: Final = "message/rfc822"

#: UIDs of the mails that are there, by numbering.
_Present = dict[Numbering, list[int]]


class IMAP(Source):
    """Fetch the mails of folders of a mailbox that are new, and delete the documents of those that are gone (moved or expunged).

    A document has the mail as it was sent in ``data``, for ``EML`` or ``Document``, and ``folder``, ``uid``, ``received`` and
    ``mimetype`` as metadata. The mailbox is only read, and mails that nobody has seen stay unseen.

    A mail is known by its folder and number (``UIDVALIDITY`` and ``UID``), and is another document when it is moved. With
    ``"id": "{message_id}"`` it stays the same one wherever it is, and mails that have one Message-ID are one document; the ids
    are then part of the cursor, so this is for some hundred thousand mails. When a server numbers a folder anew, its mails are
    fetched again, and the documents of the former numbers are deleted after that.

    A connection that is lost is made again, with pauses; one that stays lost ends the run, and the next goes on there. A mail
    that the server cannot read is named in the log and tried again by each run.

    A run that would delete more than ten documents, and more than half of those known, deletes none and ends with
    ``source.too_many_deletions``; ``POST /graphs/{name}/trigger?confirm=deletions`` has them deleted. Mails that were numbered
    anew do not count.
    """

    icon = "inbox"
    tags = ("mail", "deletions")
    #: A server with a mail in the mailbox of ``${MAIL_USER}``.
    example = Example(
        params={
            "host": "${MAIL_HOST}",
            "user": "${MAIL_USER}",
            "password": "${MAIL_PASSWORD}",
            "ca_file": "${CERTIFICATES}",
            "id": "{message_id}",
        },
        gives=Packet(
            {"data": b"Message-ID: <1@example.org>\r\nSubject: Looms\r\n\r\nSee you there.\r\n"},
            {"id": "1@example.org", "folder": "INBOX", "uid": 1, "mimetype": MEDIA_TYPE},
        ),
    )

    class Params(Parameters):
        host: Annotated[str, Help("The mail server.", min_length=1)]
        user: Annotated[str, Help("Name of the user there.", min_length=1)]
        password: Annotated[str, Help("Password of the user, or one made for this application, as ${NAME}.", min_length=1)]
        folders: Annotated[list[str], Help("Folders to read; * matches any text: INBOX, Projects/*.", min_length=1)] = ["INBOX"]
        excluded: Annotated[list[str], Help("Folders not to read though they match: Trash, Spam.")] = []
        search: Annotated[
            str, Help("Mails to read, as IMAP says it: SINCE 1-Jan-2026 UNDELETED. Others count as gone.", pattern="^[ -~]+$")
        ] = "ALL"
        id: Annotated[
            str,
            id_help(
                "Id of each document, made of {folder}, {validity}, {uid}, {message_id}",
                "folder",
                "validity",
                "uid",
                "message_id",
            ),
        ] = "{folder}/{validity}/{uid}"
        deletions: Annotated[bool, Help("Delete the document of a mail that is gone.")] = True
        security: Annotated[Security, Help("Encryption from the beginning, by STARTTLS, or none: then all can be read.")] = "tls"
        port: Annotated[int, Help("Port of the server; 0: 993 for tls, else 143.", ge=0, le=65535)] = 0
        ca_file: Annotated[
            str, Help("Certificates to trust in place of those of the machine, from the data directory if relative.", path=True)
        ] = ""
        max_bytes: Annotated[int, Help("A larger mail becomes a dead letter.", ge=1)] = 32 * 1024 * 1024
        timeout_s: Annotated[float, Help("Longest time that the server may keep silent, in seconds.", gt=0)] = 60.0

        def __post_init__(self) -> None:
            if self.id and "{uid}" not in self.id and "{message_id}" not in self.id:
                raise ValueError("id: without {uid} or {message_id}, all mails of a folder would be one document")

    def setup(self) -> None:
        params = self.params
        self.secrets.add(params.password)
        #: The template of ids and the mailbox as they are stored: no value of a variable gets into them.
        self._template = self.secrets.redact(params.id)
        self._mailbox = self.secrets.redact(f"{params.user} at {params.host}")
        self._ends = Event()
        try:
            self._context = ssl.create_default_context(cafile=Path(self.data_dir, params.ca_file) if params.ca_file else None)
        except OSError as error:
            raise ComponentError(f"ca_file {params.ca_file!r} holds no certificates: {error}", code="imap.ca_file") from error

    def teardown(self) -> None:
        if hasattr(self, "_ends"):
            self._ends.set()

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        known = MailCursor(cursor)
        count = known.count
        session = MailSession(self._connection, self._ends.wait)
        try:
            folders = self._folders(session)
            present: _Present = {}
            for folder, spelt in folders.items():
                validity = session.open(spelt).validity
                present[Numbering(self._mailbox, folder, validity, self._template)] = session.search(self.params.search)
            most = min(BATCH_BYTES, longest_data(self.fetched_bytes, MOST_META_BYTES))
            for numbering, uids in present.items():
                mails = known.of(numbering)
                new = [uid for uid in uids if uid not in mails.uids]
                if not new:
                    continue
                if session.open(folders[numbering.folder]).validity != numbering.validity:
                    raise ComponentError(
                        f"folder {numbering.folder!r} was numbered anew; the next run reads it", code="imap.changed"
                    )
                yield from in_batches(self._fetched(session, mails, new), most, partial(self._batch_mails, known), known.value)
        finally:
            session.close()
        yield from self._deletions(known, present, count)

    def process(self, packet: Packet) -> Packet:
        limit = packet.get_meta("toolarge")
        if limit is None:
            return packet
        mail = f"mail {packet.get_meta('uid')} in {packet.get_meta('folder')}"
        raise too_large(mail, limit, self.params.max_bytes, "move the mail to another folder and back", "imap.too_large")

    def _folders(self, session: MailSession) -> dict[str, bytes]:
        """The folders to read, and how the server spells each."""
        params = self.params
        there = session.folders()
        found = {
            name: spelt
            for name, spelt in sorted(there.items())
            if is_among(name, params.folders) and not is_among(name, params.excluded)
        }
        missing = [name for name in params.folders if "*" not in name and name not in there]
        if missing or not found:
            said = ", ".join(map(repr, missing or params.folders))
            raise ComponentError(
                f"{self._mailbox} has no folder {said}; there are {', '.join(sorted(there)) or 'none'}", code="imap.no_folder"
            )
        return found

    def _fetched(self, session: MailSession, mails: Mails, uids: list[int]) -> Iterator[Fetched]:
        left = iter(uids)
        while some := list(islice(left, BATCH_MAILS)):
            sizes = session.sizes(some)
            group: list[int] = []
            size = 0
            for uid in sizes:
                if group and size + sizes[uid] > BATCH_BYTES:
                    yield from self._read(session, mails, group)
                    group, size = [], 0
                group.append(uid)
                size += min(sizes[uid], self._limit)
            if group:
                yield from self._read(session, mails, group)

    def _read(self, session: MailSession, mails: Mails, uids: list[int]) -> Iterator[Fetched]:
        # sizes that servers tell are sometimes wrong: one byte more than a mail may have says that it has more
        found = session.mails(uids, self._limit + 1)
        if missed := set(uids) - {mail.uid for mail in found}:
            self.log.warning("mails cannot be read", extra={"folder": mails.numbering.folder, "uids": sorted(missed)})
        for mail in found:
            packet, id = self._packet(mails.numbering, mail)
            size = META_BYTES + len(packet.get("data") or b"")
            yield Fetched([packet], size, partial(mails.put, mail.uid, id))

    def _packet(self, numbering: Numbering, mail: Mail) -> tuple[Packet, str]:
        """A mail as a packet, and the id of its document."""
        id = numbering.id(mail.uid, _message_id(mail.data) if numbering.has_own_ids else "")
        meta: dict[str, Any] = {"folder": in_one_line(numbering.folder), "uid": mail.uid, "mimetype": MEDIA_TYPE}
        if mail.received:
            meta["received"] = mail.received
        if id:
            meta["id"] = id
        if len(mail.data) > self._limit:
            return Packet.from_document({}, meta | {"toolarge": self._limit}), id
        return Packet.from_document({"data": mail.data}, meta), id

    def _deletions(self, known: MailCursor, present: _Present, count: int) -> Iterator[tuple[list[Packet], Any]]:
        gone: list[tuple[Numbering, int]] = []
        living: set[str] = set()
        for mails in known.all():
            there = set(present.get(mails.numbering, ()))
            gone += [(mails.numbering, uid) for uid in mails.uids if uid not in there]
        if gone:
            for numbering, uids in present.items():
                mails = known.of(numbering)
                living.update(mails.id_of(uid) for uid in uids if uid in mails.uids)
        doomed: list[tuple[Numbering, int]] = []
        if self.params.deletions:
            doomed = [each for each in gone if (id := known.of(each[0]).id_of(each[1])) and id not in living]
        if are_too_many(_lost(doomed, present), count) and not self.is_confirmed:
            raise ComponentError(
                f"{len(doomed)} mails of {self._mailbox} that were known are gone, more than half: their documents are not "
                f"deleted; if they are to be deleted, POST /graphs/{self.graph_name}/trigger?confirm=deletions",
                code="source.too_many_deletions",
            )
        kept = set(doomed)
        if known.forget(each for each in gone if each not in kept):
            yield [], known.value()
        left = iter(doomed)
        while some := list(islice(left, self._batch_mails(known))):
            packets = [
                deletion(known.of(numbering).id_of(uid), folder=in_one_line(numbering.folder), mimetype=MEDIA_TYPE)
                for numbering, uid in some
            ]
            known.forget(some)
            yield packets, known.value()

    def _connection(self) -> Any:
        params = self.params
        address = params.host, params.port or PORTS[params.security]
        return logged_in(
            address, params.user, params.password, params.security, self._context, params.timeout_s, self.secrets.redact
        )

    def _batch_mails(self, known: MailCursor) -> int:
        return max(BATCH_MAILS, min(known.count // BATCH_SHARE, MOST_MAILS))

    @property
    def _limit(self) -> int:
        most: int = min(self.params.max_bytes, longest_data(self.fetched_bytes, MOST_META_BYTES))
        return most


def _lost(doomed: list[tuple[Numbering, int]], present: _Present) -> int:
    """Mails that are gone, without those that their folder has under new numbers."""
    here = {(each.mailbox, each.folder): (each, len(uids)) for each, uids in present.items()}
    lost: Counter[tuple[str, str]] = Counter()
    renumbered: Counter[tuple[str, str]] = Counter()
    for numbering, _ in doomed:
        place = numbering.mailbox, numbering.folder
        is_current = place in here and here[place][0] == numbering
        (lost if is_current or place not in here else renumbered)[place] += 1
    return lost.total() + sum(max(0, count - here[place][1]) for place, count in renumbered.items())


def _message_id(data: bytes) -> str:
    """The Message-ID of a mail without its brackets; empty if it has none."""
    found = str(BytesHeaderParser().parsebytes(data[:HEAD_BYTES])["message-id"] or "")
    return in_one_line(found.strip().removeprefix("<").removesuffix(">").strip())

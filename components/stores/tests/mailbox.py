"""A mailbox of a test, changed as a mail program does it."""

from __future__ import annotations

import hashlib
import ssl
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pypes_stores.mail_login import logged_in
from tests.servers.imap import PASSWORD, MailServer


class Mailbox(AbstractContextManager["Mailbox"]):
    """The mailbox of a user whom nobody else is."""

    def __init__(self, server: MailServer, name: str) -> None:
        self.server = server
        self.user = "u" + hashlib.sha256(name.encode()).hexdigest()[:20]
        address = "127.0.0.1", server.port
        self._client: Any = logged_in(address, self.user, PASSWORD, "none", ssl.create_default_context(), 30.0, str)

    def __exit__(self, *error: object) -> None:
        self._client.logout()

    def put(self, name: str, folder: str = "INBOX", data: bytes = b"") -> None:
        """Put a mail there with this subject, and a Message-ID of it."""
        data = data or f"Message-ID: <{name}@example.org>\r\nSubject: {name}\r\n\r\nText of {name}.\r\n".encode()
        self._do("append", f'"{folder}"', None, '"29-Nov-2026 10:00:00 +0100"', data)

    def create(self, *folders: str) -> None:
        for folder in folders:
            self._do("create", f'"{folder}"')

    def drop(self, folder: str) -> None:
        """Delete a folder."""
        self._do("select", "INBOX")
        self._do("delete", f'"{folder}"')

    def expunge(self, uids: str, folder: str = "INBOX") -> None:
        self._do("select", f'"{folder}"')
        self._do("uid", "STORE", uids, "+FLAGS", r"(\Deleted)")
        self._do("expunge")

    def move(self, uids: str, target: str, folder: str = "INBOX") -> None:
        self._do("select", f'"{folder}"')
        self._do("uid", "MOVE", uids, f'"{target}"')

    def damage(self, name: str) -> Path:
        """Take from the server the right to read the mail of INBOX with this subject; returns its file, to give it back."""
        # names of files are in no order: they have microseconds without leading zeros
        files = (self.server.mails / self.user).glob("[cn]*/*")
        file = next(file for file in files if f"Subject: {name}".encode() in file.read_bytes().splitlines())
        file.chmod(0)
        return file

    def flags(self, folder: str = "INBOX") -> bytes:
        """The flags of all mails as the server tells them."""
        self._do("select", f'"{folder}"', True)
        return b" ".join(self._do("fetch", "1:*", "(FLAGS)"))

    def _do(self, name: str, *arguments: Any) -> list[Any]:
        status, said = getattr(self._client, name)(*arguments)
        assert status == "OK", said
        return list(said)

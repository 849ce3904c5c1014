"""MailCursor: the mails that were fetched from each folder, and the ids that their documents have."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from pypes.core.file_names import named
from pypes_stores.uid_set import UidSet


class Numbering(NamedTuple):
    """The meaning of the numbers (UIDs) of mails: with another ``UIDVALIDITY`` a folder has numbered them anew."""

    #: User and server, without secrets.
    mailbox: str
    folder: str
    validity: int
    #: Template of the ids that documents were given.
    template: str

    @property
    def has_own_ids(self) -> bool:
        """True if ids are made of the mails themselves, so that the cursor has to keep them."""
        return "{message_id}" in self.template

    def id(self, uid: int, message_id: str = "") -> str:
        """The id of a mail's document; empty if it has none. A mail without a Message-ID is known by its place."""
        place = {"folder": self.folder, "validity": str(self.validity), "uid": str(uid)}
        return named(self.template, **place, message_id=message_id or "/".join(place.values()))


class Mails:
    """The mails of one numbering that were fetched."""

    def __init__(self, numbering: Numbering, uids: UidSet, ids: dict[str, str]) -> None:
        self.numbering = numbering
        self.uids = uids
        self._ids = ids

    def id_of(self, uid: int) -> str:
        """The id of a mail's document; empty if it has none."""
        return self._ids.get(str(uid), "") if self.numbering.has_own_ids else self.numbering.id(uid)

    def put(self, uid: int, id: str) -> None:
        """A mail is fetched now."""
        self.uids.add(uid)
        if self.numbering.has_own_ids:
            self._ids[str(uid)] = id

    def forget(self, uids: Collection[int]) -> None:
        """Mails are gone, and nothing is left to do about them."""
        self.uids = self.uids.without(uids)
        for uid in uids:
            self._ids.pop(str(uid), None)

    def value(self) -> dict[str, Any]:
        """The entry of the cursor."""
        known: dict[str, Any] = {"ids": dict(self._ids)} if self.numbering.has_own_ids else {"uids": str(self.uids)}
        return {**self.numbering._asdict(), **known}


class MailCursor:
    """All mails that were fetched, by numbering. Numberings that hold no longer stay until their documents are deleted."""

    def __init__(self, value: Any) -> None:
        self._mails: dict[Numbering, Mails] = {}
        for entry in value["mails"] if value else []:
            numbering = Numbering(*(entry[name] for name in Numbering._fields))
            ids = dict(entry.get("ids", {}))
            uids = UidSet(map(int, ids)) if numbering.has_own_ids else UidSet.parse(entry["uids"])
            self._mails[numbering] = Mails(numbering, uids, ids)

    @property
    def count(self) -> int:
        """Mails in it."""
        return sum(len(mails.uids) for mails in self._mails.values())

    def of(self, numbering: Numbering) -> Mails:
        """The mails of a numbering, none at first."""
        return self._mails.setdefault(numbering, Mails(numbering, UidSet(), {}))

    def all(self) -> list[Mails]:
        """The mails of each numbering."""
        return list(self._mails.values())

    def forget(self, gone: Iterable[tuple[Numbering, int]]) -> bool:
        """Mails are gone, and nothing is left to do about them; False if there are none."""
        found: dict[Numbering, list[int]] = {}
        for numbering, uid in gone:
            found.setdefault(numbering, []).append(uid)
        for numbering, uids in found.items():
            self._mails[numbering].forget(uids)
        return bool(found)

    def value(self) -> dict[str, Any]:
        """The cursor to store."""
        return {"mails": [mails.value() for mails in self._mails.values() if mails.uids]}

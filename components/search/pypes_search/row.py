"""Rows of an index, and the documents that they are of."""

from __future__ import annotations

from typing import Final, NamedTuple

#: The end of a version that nobody tells of when it is complete: the document had no identity when it was posted.
NO_RUN: Final = "/" + "0" * 16

#: A document: its id and its route, as they stand in the tables.
Key = tuple[str, str]
#: A version of a document: id, route and version.
Of = tuple[str, str, str]


class Row(NamedTuple):
    """A document, or a part of one, column by column; ``fields`` is JSON and comes back with a hit.

    ``text`` None: delete the document with all its parts. ``version`` is that of the document as text, empty outside of a node.
    ``parted_title`` and ``parted_text`` are what is indexed, where that is not title and text themselves.
    """

    id: str
    title: str = ""
    text: str | None = None
    fields: str = "{}"
    route: str = ""
    part: str = ""
    version: str = ""
    parted_title: str | None = None
    parted_text: str | None = None


class Told(NamedTuple):
    """A version of a document of which nothing more comes, as :class:`pypes.core.identity.Completed` has it."""

    id: str
    route: str
    version: str
    is_whole: bool
    is_deleted: bool = False

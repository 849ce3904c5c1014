"""Rows of an index, and the documents that they are of."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Final, NamedTuple

#: The end of a version that nobody tells of when it is complete: the document had no identity when it was posted.
NO_RUN: Final = "/" + "0" * 16

#: A document: its id and its route, as they stand in the tables.
Key = tuple[str, str]
#: A version of a document: id, route and version.
Of = tuple[str, str, str]
#: A row: id, route, part and version.
One = tuple[str, str, str, str]
#: A version of which nothing more comes: id, route, version, whether it is whole, and whether it deletes the document.
Told = tuple[str, str, str, bool, bool]


class Row(NamedTuple):
    """A document, or a part of one, column by column; ``fields`` is JSON and comes back with a hit.

    ``text`` None: delete the document with all its parts. ``version`` is that of the document as text, empty outside of a node.
    ``parted_title`` and ``parted_text`` are what is indexed, where that is not title and text themselves. ``acl`` is the list of
    those who may see it, as JSON; ``None``: anybody.
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
    acl: str | None = None


#: PERF: Columns of a row, without a call for each.
key_of: Callable[[Row], Key] = itemgetter(0, 4)
place_of: Callable[[Row], tuple[str, str, str]] = itemgetter(0, 4, 5)
one_of: Callable[[Row], One] = itemgetter(0, 4, 5, 6)
of_row: Callable[[Row], Of] = itemgetter(0, 4, 6)
text_of: Callable[[Row], str | None] = itemgetter(2)
of_told: Callable[[Told], Of] = itemgetter(0, 1, 2)

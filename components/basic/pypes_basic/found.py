"""Found: the files of a folder by the names that their documents have, no two of them for the same document."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from pypes.core.file_names import shown
from pypes_basic.folder import Folder, stamp
from pypes_basic.seen import Seen

#: A file by the name that its document has: its path in the folder, and what ``stat`` said of it.
Found = dict[str, tuple[str, os.stat_result]]


def by_name(folder: Folder, found: Mapping[str, os.stat_result]) -> Found:
    """Files by the name that documents have, with their paths. Of two that would be shown alike, one is passed over."""
    named = {path: (path, status) for path, status in found.items() if shown(path) == path}
    for path, status in found.items():
        name = shown(path)
        if named.setdefault(name, (path, status))[0] != path:
            folder.passed_over[name] = "another file would have the same name"
    return named


def without_shared_ids(folder: Folder, found: Found, seen: Seen, id_of: Callable[[str], str]) -> Found:
    """One file for each id: the one whose document is published, else the first by name. The others are passed over.

    Without that, one would replace the document of the other, which would stay as it is when that one's file is gone.
    """
    owners: dict[str, list[str]] = {}
    for name, (_, status) in found.items():
        if id := seen.id_of(name) if seen.is_as(name, stamp(status)) else id_of(name):
            owners.setdefault(id, []).append(name)
    shared: set[str] = set()
    for id, names in owners.items():
        if len(names) > 1:
            first, *others = sorted(names, key=lambda name: (seen.id_of(name) != id, name))
            shared.update(others)
            folder.passed_over.update(dict.fromkeys(others, f"its id would be that of {first}"))
            # an earlier release published all of them, and nobody knows which came last
            if seen.forget(name for name in others if seen.id_of(name) == id):
                seen.outdate(first)
    return {name: at for name, at in found.items() if name not in shared}

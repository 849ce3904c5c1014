"""Rules for files that are documents: files to pass over, and the name that a document gets from its file."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Final
from urllib.parse import quote_from_bytes

#: Endings of files that programs have not finished, or keep beside others: editors, browsers, clients of scp and FTP.
TEMPORARY_ENDS: Final = ("~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".swp", ".swx")

#: Longer ids are cut and end with a digest of the whole. An id may have 2,048 bytes; the rest is for the numbers that adapters
#: add to it, for the rows of a table.
MOST_ID_BYTES: Final = 1500

#: Office suites lock a document by a file of this name.
_LOCK_BEGIN = "~$"
_DIGEST_CHARS = 64
#: Control characters (Unicode's Cc), and what parts lines and paragraphs.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLACE = re.compile(r"\{(\w+)\}")


def is_hidden(path: str) -> bool:
    """True if the last name in a path begins with a dot, as those that rsync has not finished do."""
    return path.rpartition("/")[2].startswith(".")


def is_temporary(path: str, pattern: str = "") -> bool:
    """True if a file is named as a temporary one, and the pattern that found it does not end so itself."""
    name = path.rpartition("/")[2].lower()
    if (name.startswith("#") and name.endswith("#")) or name.startswith(_LOCK_BEGIN):
        return True
    # PERF: asked for every file of a folder; few have such a name
    return name.endswith(TEMPORARY_ENDS) and any(
        name.endswith(end) and not pattern.lower().endswith(end) for end in TEMPORARY_ENDS
    )


def shown(path: str) -> str:
    """A path as text; one that is not UTF-8 with ``%`` and two digits for each byte that cannot be shown, and for ``%``."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return _quoted(path)
    return path


def in_one_line(name: str) -> str:
    """The name of a file as documents carry it: ``_`` for each control character and line break, as browsers save it.

    Such a name would end a header or a line of a log early, or be cut off at a NUL by whoever writes the file.
    """
    return name if name.isprintable() else _CONTROL.sub("_", name)


def shown_below(folder: str) -> tuple[str, ...]:
    """Possible beginnings of the paths of a folder's files from :func:`shown`: names in the folder decide its spelling."""
    return shown(folder), _quoted(folder)


def _quoted(path: str) -> str:
    return quote_from_bytes(os.fsencode(path), safe="/ !#$&'()*+,;=:@")


def template_pattern(*places: str) -> str:
    """The pattern of a template with at least one of these places (``{path}``); an empty one gives no ids."""
    return rf"^$|^[^{{}}]*(\{{({'|'.join(places)})\}}[^{{}}]*)+$"


def named(template: str, **values: str) -> str:
    """The id that a template gives; empty for an empty template."""
    text = _PLACE.sub(lambda found: values[found[1]], template)
    encoded = text.encode()
    if len(encoded) <= MOST_ID_BYTES:
        return text
    kept = encoded[: MOST_ID_BYTES - _DIGEST_CHARS - 1].decode(errors="ignore")
    return f"{kept}~{hashlib.sha256(encoded).hexdigest()}"

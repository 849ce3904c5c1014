"""Letters that pypdf leaves as codes and names of fonts: ligatures of TeX, and glyphs that are variants of others."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Final

#: The codes of ligatures in the fonts of TeX (OT1 from 0x0b, T1 from 0x1b). Where only the font itself tells its letters, and in
#: a compact form (CFF), pypdf hands on the codes. Nothing else makes these characters, but a code for line ends (0x0d).
_LIGATURES: Final = str.maketrans(
    {chr(first + at): said for first in (0x0B, 0x1B) for at, said in enumerate(("ff", "fi", "fl", "ffi", "ffl"))}
)
#: One of them beside a letter. It stands for letters on pages that have one which cannot be a line end.
_CODE: Final = re.compile(r"(?<=[^\W\d_])[\x0b-\x0f\x1b-\x1f]|[\x0b-\x0f\x1b-\x1f](?=[^\W\d_])")
_SURE: Final = re.compile(r"[\x0b\x0c\x0e\x0f\x1b-\x1f]")


def with_ligatures(text: str) -> str:
    """The text of a page with the letters of ligatures in place of their codes."""
    if _SURE.search(text) is None:  # PERF: as mostly
        return text
    return _CODE.sub(lambda found: found[0].translate(_LIGATURES), text)


class Glyphs(dict[str, str]):
    """Characters by the names of their glyphs, such as ``/one``.

    Names that are not listed are taken apart by the rules of Adobe's list (Adobe Glyph List Specification, 2): what follows a
    full stop names a variant (``/one.oldstyle``, ``/a.sc``), underscores join the parts of a ligature (``/f_i``).
    """

    def __missing__(self, name: str) -> str:
        base = name.partition(".")[0]
        parts = [self.get(f"/{part}") for part in base.removeprefix("/").split("_")]
        if base == name and len(parts) == 1:
            raise KeyError(name)
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            raise KeyError(name)
        return "".join(found)


def know_variants(cmap: ModuleType) -> None:
    """Have pypdf know glyphs that are variants of others, which it spells out (``/one.oldstyle``); ``cmap`` is its module."""
    listed = getattr(cmap, "adobe_glyphs", None)
    if type(listed) is dict:
        cmap.adobe_glyphs = Glyphs(listed)  # type: ignore[attr-defined]

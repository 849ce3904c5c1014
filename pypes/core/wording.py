"""Numbers with their nouns, as a person says them."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """``1 document``, ``2 documents``; a plural that is not made with an s is given as ``several``."""
    return f"{number} {_noun(number, one, several)}"


def numbered(number: int, one: str, several: str = "") -> str:
    """As :func:`counted`, with thousands apart, as they stand in tables: ``12,345 documents``."""
    return f"{number:,} {_noun(number, one, several)}"


def _noun(number: int, one: str, several: str) -> str:
    return one if number == 1 else several or f"{one}s"


def sized(size: float) -> str:
    """A size in bytes: ``0 B``, ``12 KiB``, ``3.4 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


def lasting(seconds: float) -> str:
    """A time that passes, in its two largest units: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, length)
        if number:
            parts.append(f"{number} {unit}")
        if parts and (len(parts) == 2 or not number):
            break
    return " ".join(parts)

"""Mails of Outlook, made of their properties: a writer of Microsoft's older container ([MS-CFB]), as small as it can be."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

#: A folder: names with the content of a file, or with a folder.
Folder = dict[str, Any]
_SECTOR, _MINI, _CUT = 512, 64, 4096
_END, _FREE, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFF


def text(number: str, value: str) -> Folder:
    return {f"__substg1.0_{number}001F": value.encode("utf-16-le")}


def folder(head_bytes: int, *parts: Folder, **fixed: int) -> Folder:
    """Properties with their table: ``p_0C150003=1`` is a whole number, of those of variable length it has the lengths."""
    made: Folder = {}
    for each in parts:
        made |= each
    kept = {name.removeprefix("__substg1.0_"): content for name, content in made.items() if name.startswith("__substg")}
    listed = {key: len(content) + 2 * key.endswith("001F") for key, content in kept.items() if isinstance(content, bytes)}
    listed |= {key[2:]: value for key, value in fixed.items()}
    entries = (struct.pack("<HHIQ", int(key[4:], 16), int(key[:4], 16), 6, value) for key, value in listed.items())
    return made | {"__properties_version1.0": bytes(head_bytes) + b"".join(entries)}


def ticks(at: datetime) -> int:
    return (at - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10


def container(root: Folder) -> bytes:
    """The bytes of a file with this folder in it."""
    entries: list[bytes] = []
    sectors, minis = bytearray(), bytearray()
    chains: list[tuple[int, int]] = []  # of sectors: first, count
    mini_chains: list[tuple[int, int]] = []

    def place(data: bytes) -> int:
        is_mini = len(data) < _CUT
        space, unit, kept = (minis, _MINI, mini_chains) if is_mini else (sectors, _SECTOR, chains)
        if not data:
            return _END
        first = len(space) // unit
        space += data + bytes(-len(data) % unit)
        kept.append((first, len(space) // unit - first))
        return first

    def entry(name: str, kind: int, right: int, child: int, first: int, size: int) -> bytes:
        raw = name.encode("utf-16-le") + b"\0\0"
        return (
            raw.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(raw), kind, 1, _NONE, right, child)
            + bytes(36)
            + struct.pack("<IQ", first, size)
        )

    def add(name: str, kind: int, content: Any) -> int:
        number = len(entries)
        entries.append(b"")
        child, first, size = _NONE, 0, 0
        if isinstance(content, dict):
            numbers = [add(each, 1 if isinstance(inner, dict) else 2, inner) for each, inner in content.items()]
            for one, following in pairwise([*numbers, _NONE]):
                entries[one] = entries[one][:72] + struct.pack("<I", following) + entries[one][76:]
            child = numbers[0] if numbers else _NONE
        else:
            first, size = place(content), len(content)
        entries[number] = entry(name, kind, _NONE, child, first, size)
        return number

    add("Root Entry", 5, root)
    stream = bytes(minis)
    mini_at = len(sectors) // _SECTOR
    sectors += stream + bytes(-len(stream) % _SECTOR)
    chains.append((mini_at, len(sectors) // _SECTOR - mini_at))
    entries[0] = entries[0][:116] + struct.pack("<IQ", mini_at, len(stream))

    def table(kept: list[tuple[int, int]], count: int) -> list[int]:
        found = [_FREE] * count
        for first, length in kept:
            for place in range(first, first + length):
                found[place] = place + 1 if place < first + length - 1 else _END
        return found

    def append(data: bytes) -> int:
        first = len(sectors) // _SECTOR
        sectors.extend(data + bytes(-len(data) % _SECTOR))
        if data:
            chains.append((first, len(sectors) // _SECTOR - first))
        return first

    mini_table = struct.pack(f"<{len(minis) // _MINI}I", *table(mini_chains, len(minis) // _MINI))
    mini_table += b"\xff" * (-len(mini_table) % _SECTOR)
    mini_fat = append(mini_table)
    directory = append(b"".join(entries) + bytes(-len(entries) % 4 * 128))
    used = len(sectors) // _SECTOR
    fats = 1
    while fats * 128 < used + fats:
        fats += 1
    fat = table(chains, used) + [0xFFFFFFFD] * fats
    fat += [_FREE] * (fats * 128 - len(fat))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, fats, directory, 0, _CUT, mini_fat, len(mini_table) // _SECTOR, _END, 0)
    head += struct.pack("<109I", *[used + n for n in range(fats)], *[_FREE] * (109 - fats))
    return head + bytes(sectors) + struct.pack(f"<{len(fat)}I", *fat)


def msg(*parts: Folder, top: bool = True, **fixed: int) -> Folder:
    """The folder of a mail."""
    return folder(32 if top else 24, {"__nameid_version1.0": {}} if top else {}, *parts, **fixed)


def recipient(number: int, kind: int, name: str, address: str) -> Folder:
    return {f"__recip_version1.0_#{number:08X}": folder(8, text("3001", name), text("39FE", address), p_0C150003=kind)}


def attachment(number: int, name: str, content: bytes | Folder, media_type: str = "") -> Folder:
    kind = "3701000D" if isinstance(content, dict) else "37010102"
    typed = text("370E", media_type) if media_type else {}
    return {f"__attach_version1.0_#{number:08X}": folder(8, text("3707", name), typed, {f"__substg1.0_{kind}": content})}

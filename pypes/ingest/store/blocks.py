"""Blocks of receipts: the accounts of up to :data:`MOST` deliveries of one graph, by column, compressed.

Within a block everything that repeats is said once, and columns of small numbers compress well: 3 to 19 bytes for each delivery,
where a row for each commit takes 67 to 108. A block has three parts, each compressed by itself: the keys of its commits,
which a search reads alone; the accounts; and the details of the deliveries that have any.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise, repeat
from typing import NamedTuple

import msgspec
from backports import zstd

from pypes.errors import StoreError
from pypes.ingest.accounts import Account, Kind
from pypes.ingest.outcome import Details

#: Deliveries of a block.
MOST = 4096
#: The details in a block are at most so many bytes, or those of one delivery.
DETAIL_BYTES = 256 << 10
#: A block does not reach over a multiple of so many keys (4.4 minutes), so that a search ends there.
SPAN = 1 << 24

_LEVEL = 6
_OPTIONS = {int(zstd.CompressionParameter.compression_level): _LEVEL, int(zstd.CompressionParameter.checksum_flag): 1}
#: The types of array in which a column of numbers may be, the smallest first, by the greatest number.
_WIDTHS = (("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32))


class Entry(NamedTuple):
    """A finished delivery: the key of its commit, its position in it, the salt of the commit, its account."""

    key: int
    position: int
    salt: int
    account: Account


class Columns(msgspec.Struct, array_like=True):
    """The accounts of a block as they are stored; a column of numbers is the type of its array and the bytes of that.

    ``None`` stands for what need not be said: one delivery for each commit, the positions 0, 1, …, one kind, no ids.
    ``started`` and ``finished`` are one more than in an account.
    """

    kinds: list[list[object]]
    salts: bytes
    counts: bytes | None
    positions: bytes | None
    numbers: bytes | None
    started: bytes
    finished: bytes
    ids: list[str | None] | None


class Packed(NamedTuple):
    """A block to be stored. ``failed`` is the number of its deliveries that have failed documents."""

    graph: str
    first: int
    last: int
    entries: int
    failed: int
    keys: bytes
    data: bytes
    details: bytes | None

    @property
    def size(self) -> int:
        return len(self.keys) + len(self.data) + len(self.details or b"")


_encode = msgspec.msgpack.Encoder().encode
_decode_columns = msgspec.msgpack.Decoder(Columns).decode
_decode_details = msgspec.msgpack.Decoder(dict[int, msgspec.Raw]).decode


def pack(graph: str, entries: Sequence[Entry], details: dict[int, bytes]) -> Packed:
    """Make a block of entries, which are in order and of one graph; ``details`` are encoded, by ordinal in the block."""
    commits: list[int] = []
    salts: list[int] = []
    counts: list[int] = []
    positions: list[int] = []
    kinds: dict[Kind, int] = {}
    numbers: list[int] = []
    started: list[int] = []
    finished: list[int] = []
    ids: list[str | None] = []
    failed = 0
    last_key, last_kind, number = -1, None, 0
    for key, position, salt, account in entries:
        kind, start, end, id = account
        if key != last_key:
            last_key = key
            commits.append(key)
            salts.append(salt)
            counts.append(0)
        counts[-1] += 1
        positions.append(position)
        if kind is not last_kind:  # PERF: shared objects nearly always
            last_kind = kind
            number = kinds.setdefault(kind, len(kinds))
        if kind.failed:
            failed += 1
        numbers.append(number)
        started.append(start + 1)
        finished.append(end + 1)
        ids.append(id)
    is_plain = len(commits) == len(positions) and not any(positions)
    columns = Columns(
        [kind.to_obj() for kind in kinds],
        _column(salts),
        None if is_plain else _column(counts),
        None if is_plain else _column(positions),
        _column(numbers) if len(kinds) > 1 else None,
        _column(started),
        _column(finished),
        ids if any(id is not None for id in ids) else None,
    )
    deltas = [0, *(after - before for before, after in pairwise(commits))]
    return Packed(
        graph,
        commits[0],
        commits[-1],
        len(positions),
        failed,
        _compress(_column(deltas)),
        _compress(_encode(columns)),
        _compress(_encode({ordinal: msgspec.Raw(data) for ordinal, data in details.items()})) if details else None,
    )


def _compress(data: bytes) -> bytes:
    return zstd.compress(data, options=_OPTIONS)


def _column(numbers: Sequence[int]) -> bytes:
    least, most = min(numbers), max(numbers)
    code = next((code for code, bound in _WIDTHS if most < bound), "q") if least >= 0 else "q"
    column = array(code, numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return code.encode() + column.tobytes()


def _numbers(column: bytes) -> array[int]:
    numbers = array(chr(column[0]))
    numbers.frombytes(memoryview(column)[1:])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class Block:
    """A stored block; a part of it is decoded when it is asked for. Raises :class:`StoreError` for one that is damaged."""

    def __init__(self, first: int, keys: bytes, data: bytes, details: bytes | None = None) -> None:
        self._first = first
        self._keys = keys
        self._data = data
        self._details = details

    @cached_property
    def keys(self) -> list[int]:
        """The keys of its commits, ascending."""
        try:
            deltas = _numbers(zstd.decompress(self._keys))
        except (zstd.ZstdError, ValueError, IndexError) as error:
            raise damaged(error) from error
        return list(accumulate(deltas, initial=self._first))[1:]

    @cached_property
    def _columns(self) -> Columns:
        try:
            return _decode_columns(zstd.decompress(self._data))
        except (zstd.ZstdError, msgspec.MsgspecError) as error:
            raise damaged(error) from error

    @cached_property
    def _starts(self) -> Sequence[int]:
        """The ordinal of the first delivery of each commit, and of one after the last."""
        counts = self._columns.counts
        return range(len(self.keys) + 1) if counts is None else list(accumulate(_numbers(counts), initial=0))

    def ordinals(self, key: int) -> range | None:
        """The ordinals in the block of the deliveries of a commit; ``None`` if it has none of that commit."""
        at = bisect_left(self.keys, key)
        if at == len(self.keys) or self.keys[at] != key:
            return None
        return range(self._starts[at], self._starts[at + 1])

    def ordinal(self, key: int, position: int) -> int | None:
        """The ordinal in the block of one delivery."""
        ordinals = self.ordinals(key)
        positions = self._columns.positions
        if ordinals is None or positions is None:
            return ordinals[0] if ordinals is not None and position == 0 else None
        own = _numbers(positions)[ordinals.start : ordinals.stop]
        return ordinals.start + own.index(position) if position in own else None

    def salt(self, key: int) -> int:
        """The salt of a commit that is in the block."""
        return _numbers(self._columns.salts)[bisect_left(self.keys, key)]

    def account(self, ordinal: int) -> Account:
        """The account of one delivery."""
        columns = self._columns
        number = _numbers(columns.numbers)[ordinal] if columns.numbers is not None else 0
        started, finished = _numbers(columns.started)[ordinal] - 1, _numbers(columns.finished)[ordinal] - 1
        return Account(Kind.from_obj(columns.kinds[number]), started, finished, columns.ids[ordinal] if columns.ids else None)

    def entries(self, first: int, last: int, *, only_failed: bool = False) -> Iterator[Entry]:
        """The deliveries of the commits from one key to another, in order; ``only_failed``: those with a failed document."""
        columns, keys, starts = self._columns, self.keys, self._starts
        try:
            salts = _numbers(columns.salts)
            kinds = [Kind.from_obj(form) for form in columns.kinds]
            positions = _numbers(columns.positions) if columns.positions is not None else repeat(0)
            numbers = _numbers(columns.numbers) if columns.numbers is not None else None
            started, finished, ids = _numbers(columns.started), _numbers(columns.finished), columns.ids
        except (TypeError, ValueError, IndexError) as error:
            raise damaged(error) from error
        for at in range(bisect_left(keys, first), bisect_left(keys, last + 1)):
            for i in range(starts[at], starts[at + 1]):
                kind = kinds[numbers[i] if numbers is not None else 0]
                if only_failed and not kind.failed:
                    continue
                position = positions[i] if isinstance(positions, array) else 0
                account = Account(kind, started[i] - 1, finished[i] - 1, ids[i] if ids is not None else None)
                yield Entry(keys[at], position, salts[at], account)

    def having(self, text: str) -> Iterator[tuple[Entry, Details | None]]:
        """The deliveries whose one document has this id, or in whose details the text stands somewhere, with the details."""
        sought = text.encode(errors="replace")
        try:
            # PERF: most blocks have it nowhere, and are not taken apart
            has_account = sought in zstd.decompress(self._data)
        except zstd.ZstdError as error:
            raise damaged(error) from error
        try:
            ordinals = {ordinal for ordinal, data in self._details_by_ordinal.items() if sought in bytes(data)}
        except (zstd.ZstdError, msgspec.MsgspecError) as error:
            raise damaged(error) from error
        if not has_account and not ordinals:
            return
        for ordinal, entry in enumerate(self.entries(0, 1 << 62)):
            if entry.account.id == text or ordinal in ordinals:
                yield entry, self.details(ordinal)

    def details(self, ordinal: int) -> Details | None:
        """The fates of the documents of a delivery, where they are more than its account says."""
        try:
            found = self._details_by_ordinal.get(ordinal)
            return None if found is None else msgspec.msgpack.decode(found, type=Details)
        except (zstd.ZstdError, msgspec.MsgspecError) as error:
            raise damaged(error) from error

    @cached_property
    def _details_by_ordinal(self) -> dict[int, msgspec.Raw]:
        return {} if self._details is None else _decode_details(zstd.decompress(self._details))

    def check(self) -> int:
        """Read all of it; returns how many deliveries it has."""
        entries = sum(1 for _ in self.entries(0, 1 << 62))
        for ordinal in range(entries):
            self.details(ordinal)
        return entries


#: A block of nothing.
EMPTY = Block(0, _compress(b"B"), _compress(_encode(Columns([], b"B", None, None, None, b"B", b"B", None))))


def damaged(error: Exception) -> StoreError:
    """The error of a block that cannot be read."""
    return StoreError(f"a block of receipts is damaged: {error}", code="store.damaged")

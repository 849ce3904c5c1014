"""The format of a row: what is packed is read again, and what cannot be one is damaged."""

import msgspec
import pytest

from pypes.errors import StoreError
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.store.rows import Entry, index_bytes, pack, unpack, unpack_index

FULL = (Header("g", id="a"), b"body")
FILE = (Header("h", is_bulk=True), Spooled("/spool/one", 7))
GONE = Entry(Header(""), b"", None, 0)


@pytest.mark.parametrize("entries", [[], [FULL], [None], [None, None, FULL], [FULL, None, FILE, None, None, FULL, None]])
def test_positions_stay_when_deliveries_are_left_out(entries: list[tuple[Header, bytes | Spooled] | None]) -> None:
    row = pack(entries)
    whole = {FULL: Entry(FULL[0], b"body", None, 4), FILE: Entry(FILE[0], b"", "one", 7), None: GONE}
    assert unpack(row) == [whole[entry] for entry in entries]  # type: ignore[index]
    assert [header for header, _, _ in unpack_index(row)] == [whole[entry].header for entry in entries]  # type: ignore[index]


def test_many_that_are_left_out_beside_one_another_take_a_number() -> None:
    assert len(pack([None] * 200 + [FULL] + [None] * 200)) < len(pack([FULL])) + 10


@pytest.mark.parametrize("count", [0, -1, 1 << 14, 1 << 60])
def test_a_number_that_no_commit_can_leave_out_is_damage(count: int) -> None:
    index = msgspec.msgpack.encode([(Header("g"), 0, None), count])
    data = len(index).to_bytes(4, "little") + index
    assert index_bytes(data) == len(data)
    with pytest.raises(StoreError, match="leaves out"):
        unpack(data)

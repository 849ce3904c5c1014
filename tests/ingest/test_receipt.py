import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.errors import NotFound
from pypes.ingest.receipt import Receipt, ReceiptId, commit_key, received_of, rfc3339


@given(
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 255),
    st.integers(0, (1 << 54) - 1),
    st.integers(0, (1 << 14) - 1),
    st.integers(0, (1 << 14) - 1),
)
def test_an_id_is_a_uuid7_and_comes_apart_again(node: int, shard: int, key: int, position: int, salt: int) -> None:
    id = ReceiptId(node, shard, key, position, salt)
    assert ReceiptId.parse(str(id)) == id
    assert str(uuid.UUID(str(id))) == str(id)
    assert uuid.UUID(str(id)).version == 7
    assert received_of(str(id)) == id.received


@given(st.text(max_size=40))
def test_anything_else_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        ReceiptId.parse(text)


@given(st.lists(st.floats(0, 1e10)))
def test_keys_increase_whatever_the_clock_does(times: list[float]) -> None:
    last = 0
    for now in times:
        key = commit_key(now, last)
        assert key > last or (key == last == 0)
        last = key


def test_times_are_utc_with_milliseconds() -> None:
    assert rfc3339(5.9997) == "1970-01-01T00:00:06.000Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"


@pytest.mark.parametrize(("version", "shown"), [(0, None), (3, 3)])
def test_a_delivery_that_has_run_in_no_version_shows_none(version: int, shown: int | None) -> None:
    assert Receipt("r", "queued", 1, 0, 0, 0, 1, "now", version=version).to_obj()["version"] == shown

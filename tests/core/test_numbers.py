"""Integers that do not fit into 64 bits are found wherever JSON has a number, and nowhere else."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.core.numbers import check, fits, may_change
from pypes.errors import BadRequest

MOST, LEAST = 2**64 - 1, -(2**63)


@pytest.mark.parametrize("number", [MOST + 1, LEAST - 1, 2**80, -(2**80), 10**300])
@pytest.mark.parametrize("form", ["[%s]", '{"n":%s}', '{"n": %s}', '{"a": [1,%s]}', '{"n":\n%s}', '{"s": "\\"", "n": %s}'])
def test_a_number_that_would_change_is_refused(number: int, form: str) -> None:
    with pytest.raises(BadRequest, match="64 bits") as raised:
        check((form % number).encode(), "line 3, ")
    assert (raised.value.code, raised.value.where) == ("ingest.number", "line 3")


@pytest.mark.parametrize(
    "text",
    [
        b'{"n": %d}' % MOST,
        b'{"n": %d}' % LEAST,
        b'{"n": "1208925819614629174706176"}',
        b'{"1208925819614629174706176": 1}',
        b'{"n": ", 1208925819614629174706176"}',
        b'{"n": "\\", 1208925819614629174706176"}',
        b'{"n": 1208925819614629174706176.5}',
        b'{"n": 0.1208925819614629174706176}',
        b'{"n": 12089258196146291747061e-10}',
        b'{"n": 1e0000000000000000000000012}',
    ],
)
def test_what_does_not_change_passes(text: bytes) -> None:
    orjson.loads(text)
    check(text)


@pytest.mark.parametrize(
    "value",
    [
        [1234567890123456789] * 10,
        [-123456789012345678] * 10,
        [-0.006929283495992422, 0.00012345678901234567],
        ["2026-01-01T10:00:00.123456+00:00", "0190a5b4-1234-7123-8123-123456789012", "12345678901234567890"],
    ],
)
def test_what_is_like_a_long_number_costs_no_closer_look(value: list[object]) -> None:
    assert not may_change(orjson.dumps(value))
    assert not may_change(orjson.dumps({"a": value}, option=orjson.OPT_INDENT_2))


@given(st.integers(-(2**90), 2**90), st.text(max_size=20), st.lists(st.integers(LEAST, MOST), max_size=5))
def test_what_passes_is_parsed_as_it_was_sent(number: int, text: str, others: list[int]) -> None:
    value = {text: others, "n": [text, number, text]}
    key = orjson.dumps(text)
    # by hand: no number of more than 64 bits is written by orjson
    body = b'{%b:%b,"n":[%b,%d,%b]}' % (key, orjson.dumps(others), key, number, key)
    if fits(number):
        check(body)
        assert orjson.loads(body) == value
    else:
        assert may_change(body)
        with pytest.raises(BadRequest):
            check(body)

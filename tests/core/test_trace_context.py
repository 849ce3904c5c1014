"""Trace contexts: what W3C Trace Context, level 1, says of valid and invalid header fields."""

from __future__ import annotations

import pytest

from pypes.core.trace_context import MAX_STATE, TraceContext, parse, span_of, state_of, trace_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_valid_field_is_taken_apart() -> None:
    assert parse([PARENT]) == TraceContext(TRACE, SPAN, True)
    assert parse([f" \t{PARENT} "]) == TraceContext(TRACE, SPAN, True)
    assert parse([f"00-{TRACE}-{SPAN}-00"]) == TraceContext(TRACE, SPAN, False)
    # of the flags, only the first is known
    assert parse([f"00-{TRACE}-{SPAN}-fe"]) == TraceContext(TRACE, SPAN, False)
    assert parse([f"00-{TRACE}-{SPAN}-ff"]) == TraceContext(TRACE, SPAN, True)


def test_later_versions_are_read_as_far_as_they_are_known() -> None:
    assert parse([f"cc-{TRACE}-{SPAN}-01"]) == TraceContext(TRACE, SPAN, True)
    assert parse([f"cc-{TRACE}-{SPAN}-01-what-the-future-brings"]) == TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [""],
        [PARENT, PARENT],
        [PARENT.upper()],
        [f"{PARENT}-more"],
        [f"{PARENT}."],
        [f"cc-{TRACE}-{SPAN}-01.more"],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE[:-1]}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-1"],
        [f"00-{TRACE[:-1]}ä-{SPAN}-01"],
        [f"00_{TRACE}_{SPAN}_01"],
        ["00-\u0660af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        [PARENT + "\n"],
    ],
)
def test_an_invalid_field_counts_as_none(parents: list[str]) -> None:
    assert parse(parents, ["a=1"]) is None


def test_what_is_sent_on_is_valid_again() -> None:
    context = TraceContext(TRACE, SPAN, True, "a=1,b=2")
    assert context.fields() == {"traceparent": PARENT, "tracestate": "a=1,b=2"}
    assert TraceContext(TRACE, SPAN).fields() == {"traceparent": f"00-{TRACE}-{SPAN}-00"}
    assert parse([context.fields()["traceparent"]], [context.fields()["tracestate"]]) == context


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        (["a=1"], "a=1"),
        (["a=1, b=2\t", "", ",c=3"], "a=1,b=2,c=3"),
        (["tenant@system=x y,rojo=00f067"], "tenant@system=x y,rojo=00f067"),
        (["1t@s=1"], "1t@s=1"),
        (["a=1,a=2"], ""),
        (["A=1"], ""),
        (["a"], ""),
        (["a="], ""),
        (["a=1=2"], ""),
        (["a=ä"], ""),
        (["@s=1"], ""),
        ([",".join(f"k{n}=1" for n in range(32))], ",".join(f"k{n}=1" for n in range(32))),
        ([",".join(f"k{n}=1" for n in range(33))], ""),
    ],
)
def test_the_state_is_passed_on_if_it_is_valid(values: list[str], expected: str) -> None:
    assert state_of(values) == expected


def test_a_long_state_loses_long_members_first_then_the_last() -> None:
    long = "long=" + "x" * 200
    short = [f"k{n}={'y' * 60}" for n in range(7)]
    assert state_of([",".join([short[0], long, *short[1:]])]) == ",".join(short)
    many = [f"k{n}={'y' * 60}" for n in range(9)]
    found = state_of([",".join(many)])
    assert found == ",".join(many[: found.count(",") + 1])
    assert MAX_STATE - 70 < len(found) <= MAX_STATE


def test_spans_of_a_delivery_can_be_told_beforehand() -> None:
    receipt = "0192f0e1-4b2a-7000-8000-0000000000ab"
    assert trace_of(receipt) == "0192f0e14b2a700080000000000000ab"
    spans = {span_of(receipt, part) for part in ("delivery", "run", "json", "out")}
    assert len(spans) == 4
    assert {len(span) for span in spans} == {16}
    assert span_of(receipt, "json") == span_of(receipt, "json")

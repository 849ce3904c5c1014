"""Cutting: what is long is cut and marked, and what does not fit into a report is left out."""

from __future__ import annotations

from pypes.runtime.trials.cutting import ENTRIES, LEFT_OUT, PACKET_CHARS, TEXT_CHARS, Cutter


def test_what_is_short_stays_as_it_is() -> None:
    form = {"fields": {"text": "a", "list": [1, {"b": None}]}, "meta": {"id": "d"}}
    assert Cutter().packet(form) == form


def test_what_is_long_is_cut_and_marked() -> None:
    form = {"fields": {"text": "x" * (TEXT_CHARS + 1), "list": [0] * (ENTRIES + 1), "own": [{"t": "y" * (TEXT_CHARS + 2)}]}}
    found = Cutter().packet(form)
    assert found["cut"] == {"fields.text": TEXT_CHARS + 1, "fields.list": ENTRIES + 1, "fields.own.0.t": TEXT_CHARS + 2}
    assert found["fields"]["text"] == "x" * TEXT_CHARS
    assert found["fields"]["list"] == [0] * ENTRIES
    assert len(form["fields"]["text"]) == TEXT_CHARS + 1


def test_a_packet_of_many_long_values_is_bounded_as_a_whole() -> None:
    found = Cutter().packet({"fields": {f"f{n}": "x" * TEXT_CHARS for n in range(100)}})
    assert sum(map(len, found["fields"].values())) <= PACKET_CHARS
    assert "fields.f99" in found["cut"]


def test_packets_are_left_out_when_the_report_is_full() -> None:
    cutter = Cutter(room=150)
    form = {"fields": {"text": "x" * 80}}
    assert [cutter.packet(form) for _ in range(3)] == [form, form, LEFT_OUT]

"""The loop that a node is compared with where tables are read."""

from __future__ import annotations

from benchmarks.memory import rows
from benchmarks.tables import loop


def test_the_loop_makes_a_packet_of_each_row() -> None:
    table = b"".join(rows(3_000_000))
    assert loop(table).documents == table.count(b"\n") - 1

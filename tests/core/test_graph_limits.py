"""The limits of a graph, and the part of them that a shard enforces."""

from dataclasses import fields

import pytest

from pypes.core.graph_limits import NO_LIMITS, GraphLimits, table
from pypes.core.limits import Limits

EVERY = GraphLimits(
    queue_max_bytes=100,
    queue_max_deliveries=10,
    dead_letters_kept=2,
    dead_letters_bytes=100,
    receipts_bytes=30,
    receipts_s=60.0,
    keys_kept=7,
    disk_bytes=90,
)


@pytest.mark.parametrize(
    ("limits", "shards", "part"),
    [
        (NO_LIMITS, 4, NO_LIMITS),
        (EVERY, 1, EVERY),
        (EVERY, 4, GraphLimits(25, 3, 1, 25, 8, 60.0, 2, 23)),
        # receipts leave half of the disk to documents
        (GraphLimits(disk_bytes=90), 1, GraphLimits(disk_bytes=90, receipts_bytes=45)),
        (GraphLimits(disk_bytes=1, receipts_bytes=9), 4, GraphLimits(disk_bytes=1, receipts_bytes=1)),
    ],
)
def test_a_shard_enforces_its_part(limits: GraphLimits, shards: int, part: GraphLimits) -> None:
    assert limits.in_shard(shards) == part


def test_what_is_not_set_is_not_shown() -> None:
    assert NO_LIMITS.to_obj() == {}
    assert GraphLimits(disk_bytes=1, receipts_s=2.5).to_obj() == {"receipts_s": 2.5, "disk_bytes": 1}


def test_a_word_means_one_thing() -> None:
    of_node = {each.name: each.metadata for each in fields(Limits)}
    common = [limit for limit in table() if limit.name in of_node]
    assert len(common) >= 6
    assert [(x.unit, x.status) for x in common] == [(of_node[x.name]["unit"], of_node[x.name]["status"]) for x in common]

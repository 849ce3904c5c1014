"""A node as tables and warnings, made of what ``GET /status`` answers."""

from __future__ import annotations

from typing import Any

from pypes.observe import picture
from pypes.observe.picture import LINE_CHARS, Rate, Sample
from pypes.observe.work import FilterRate

QUEUE = {"deliveries": 3, "bytes": 2048, "ready": 1, "leased": 2, "delayed": 0, "oldest_s": 65.0, "dead_letters": 1}
USE = {"deliveries": 3, "bytes": 2048, "dead_letters": 1, "accepted": 1234, "published": 1200, "dropped": 30, "failed": 1}
#: What is not done, by lane.
LANES = {"live": {"deliveries": 2, "documents": 2, "bytes": 1024, "oldest_s": 4.0}, "bulk": {"deliveries": 1, "oldest_s": 65.0}}


def status(**changes: Any) -> dict[str, Any]:
    """The answer of a node that has one graph in two shards."""
    shard = {
        "queue": {**QUEUE, "is_failed": False, "held": 0},
        "graphs": {"shop": {**USE, "limits": {"keys": 1}, "lanes": LANES}},
        "reason": "",
    }
    return {
        "node": 7,
        "version": "1.0",
        "state": "ready",
        "uptime_s": 3700.0,
        "workers": [{"pid": 1, "slot": 0, "state": "ready"}],
        "shards": [{"shard": 0, **shard}, {"shard": 1, **shard}],
        "instances": [{"id": 1, "generation": 2, "pid": 9, "state": "ready", "graphs": ["shop"]}],
        "pools": [],
        "graphs": [{"name": "shop", "state": "live", "filters": ["json"]}],
        "outboxes": [],
        "pid": 5,
        "restarts": {},
        "processes": [{"name": "instance-1", "pid": 9, "memory_bytes": 5 << 20}],
        "work": {},
        "endings": [],
        "disk": {"folder": "/data", "total_bytes": 100 << 30, "free_bytes": 50 << 30},
        "lately": {"seconds": 60.0, "work": {}, "refused": []},
        "undeployed": [],
        "max_memory_bytes": 512 << 20,
        "concerns": [],
        **changes,
    }


def test_a_graph_is_added_up_over_its_shards() -> None:
    table = picture.graphs(status(), {"shop": Rate(12.34, 0.05, 0, 250)})
    [row] = table.rows
    assert dict(zip(table.headings, row, strict=True)) == {
        "Graph": "shop",
        "State": "live",
        "In/s": "12.3",
        "Out/s": "0.05",
        "Failed/s": "250",
        "Waiting": "6",
        "Oldest": "1 min 5 s",
        "Size": "4.0 KiB",
        "Accepted": "2,468",
        "Published": "2,400",
        "Dropped": "60",
        "Failed": "2",
        "Dead letters": "2",
    }


def test_rates_are_unknown_at_first() -> None:
    [row] = picture.graphs(status(), {}).rows
    assert row[2:5] == ("-", "-", "-")


def test_rates_are_differences_over_time() -> None:
    before = status()
    after = status()
    after["shards"] = [
        {"shard": 0, "graphs": {"shop": {**USE, "accepted": 1334, "published": 1220, "failed": 0}}},
        # one whose worker is new has begun to count, another cannot be asked
        {"shard": 2, "graphs": {"shop": USE}},
        {"shard": 1, "graphs": {}},
    ]
    first, second = Sample.of(before, 10.0), Sample.of(after, 20.0)
    assert first.rates(second) == {"shop": Rate(10.0, 2.0, 0.0, 0.0)}
    assert second.rates(second) == {}


def test_rates_of_the_last_minute_are_those_of_all_shards() -> None:
    lately = {"seconds": 50.0, "accepted": 100, "published": 50, "dropped": 0, "failed": 5}
    found = status()
    found["shards"][0]["graphs"]["shop"] = {**USE, "lately": lately}
    found["shards"][1]["graphs"] = {"shop": {**USE, "lately": {**lately, "seconds": 10.0}}, "new": {**USE, "lately": None}}
    assert picture.rates_lately(found) == {"shop": Rate(12.0, 6.0, 0.0, 0.6)}


def test_the_queue_in_a_line() -> None:
    assert picture.waiting(status()) == "6 deliveries wait (4.0 KiB), the oldest for 1 min 5 s · 2 dead letters"
    idle = {**QUEUE, "deliveries": 0, "bytes": 0, "dead_letters": 0}
    assert picture.waiting(status(restarts={"killed": 2, "memory": 1})).endswith(" · 2 dead letters · 3 restarts of instances")
    assert picture.waiting(status(shards=[{"queue": idle}, {"queue": None}])) == "0 deliveries wait (0 B) · 0 dead letters"


def test_where_some_graphs_only_are_shown_there_is_no_queue_but_theirs() -> None:
    limited = status()
    for shard in limited["shards"]:
        shard["queue"] = None
    assert picture.waiting(limited) == "6 deliveries wait (4.0 KiB), the oldest for 1 min 5 s · 2 dead letters"
    assert picture.shards(limited).rows == []
    assert "Queue" not in {table.title for table in picture.tables(limited, [], 5)}
    limited["shards"][0].update(graphs={}, reason="its ingest worker does not answer")
    assert [row[:2] for row in picture.shards(limited).rows] == [("0", "away")]
    assert picture.waiting(status(shards=[])) == "0 deliveries wait (0 B) · 0 dead letters"


def test_the_node_in_a_line() -> None:
    assert picture.headline(status()) == "node 7 · version 1.0 · up 1 h 1 min · 1 ingest worker · 1 instance"


def test_a_graph_with_a_filter_that_rests_is_resting() -> None:
    [row] = picture.graphs(status(graphs=[{"name": "c", "state": "live", "resting": [{}]}]), {}).rows
    assert row[:2] == ("c", "resting")


def test_a_node_whose_shards_refuse_is_refusing_and_names_letters_that_are_not_written() -> None:
    found = status()
    assert picture.state_of(found) == "ready"
    for shard in found["shards"]:
        shard["queue"] = {**QUEUE, "is_failed": True}
        shard["graphs"]["shop"]["dead_letters"] = 60
    assert picture.state_of(found) == "refusing"
    assert [row[:2] for row in picture.shards(found).rows] == [("0", "refusing"), ("1", "refusing")]
    group = {"graph": "shop", "filter": "", "code": "x", "latest": "2026-11-20T10:00:00.123Z", "count": 15}
    assert picture.letters(found, [group], 5).rows[1] == (
        "shop",
        "-",
        "not written yet: they wait for room on the disk",
        "105",
        "-",
    )
    found["shards"][0]["queue"] = QUEUE
    assert picture.state_of(found) == "ready"


def test_a_graph_whose_file_is_not_deployed_has_failed() -> None:
    files: list[dict[str, Any]] = [{"file": "/g/a.json", "graph": name, "routes": [], "reason": "?"} for name in ("a", "shop")]
    assert [row[:2] for row in picture.graphs(status(undeployed=files), {}).rows] == [("a", "failed"), ("shop", "live")]


def test_a_filter_is_as_busy_as_the_instances_or_the_pool_that_run_it() -> None:
    instances = [{"id": n, "generation": 1, "pid": n, "state": "ready", "graphs": ["shop"]} for n in (1, 2)]
    pools = [{"name": "models", "state": "ready", "workers": [{"is_busy": True}], "deaths": 0, "filters": ["shop.embed"]}]
    rates = [
        FilterRate("shop", "judge", packets=10.0, failures=0.0, busy=1.5, waiting=0.0, parked=0.0, done=10.0),
        # 4 packets came within a second, and one is done
        FilterRate("shop", "embed", packets=4.0, failures=0.0, busy=0.8, waiting=0.0, parked=0.0, done=1.0),
    ]
    rows = picture.filters(status(instances=instances, pools=pools), rates).rows
    assert [(row[3], row[5]) for row in rows] == [("75%", "150.00"), ("80%", "800.00")]


def test_rates_of_filters_are_being_measured_before_a_second_look() -> None:
    assert picture.filters(status(), [], is_measuring=True).empty == "Measuring: rates come with the second look."
    assert picture.filters(status(), []).empty == "No filter was at work."


def test_causes_beyond_the_most_are_added_up() -> None:
    group = {"graph": "shop", "filter": "", "code": "graph.no_adapter", "latest": "2026-11-20T10:00:00.123Z"}
    table = picture.letters(status(), [{**group, "count": count} for count in (1000, 20, 3)], 1)
    assert [*table.rows] == [
        ("shop", "-", "graph.no_adapter", "1,000", "2026-11-20 10:00:00 UTC"),
        ("… and 2 more causes", "", "", "23", ""),
    ]


def test_instances_have_their_memory() -> None:
    assert [*picture.instances(status()).rows] == [("1", "ready", "2", "9", "5.0 MiB", "-", "shop")]
    grown = {"name": "instance-1", "pid": 9, "memory_bytes": 5 << 20, "memory_before": [3 << 20, *[4 << 20] * 5]}
    young = {**grown, "memory_before": [3 << 20, 4 << 20]}
    assert [*picture.instances(status(processes=[young])).rows] == [("1", "ready", "2", "9", "5.0 MiB", "-", "shop")]
    gone = {**grown, "memory_bytes": 0}
    assert [*picture.instances(status(processes=[gone])).rows] == [("1", "ended", "2", "9", "-", "-", "shop")]
    assert [*picture.instances(status(processes=[grown])).rows] == [("1", "ready", "2", "9", "5.0 MiB", "3.0 MiB", "shop")]
    assert [*picture.instances(status(processes=[])).rows] == [("1", "ended", "2", "9", "-", "-", "shop")]


def test_pools_and_outboxes_are_shown_where_there_are_any() -> None:
    titles = [table.title for table in picture.tables(status(), [], 5)]
    assert titles == ["Graphs", "Busiest filters", "Dead letters by cause", "Queue", "Instances"]
    pool = {
        "name": "models",
        "state": "ready",
        "workers": [{"is_busy": True}, {"is_busy": False}],
        "deaths": 1,
        "filters": ["a.b"],
    }
    outbox = {"name": "out", "waiting": 2, "bytes": 10, "oldest_s": 3.0}
    *_, pools, outboxes = picture.tables(status(pools=[pool], outboxes=[outbox]), [], 5)
    assert [*pools.rows] == [("models", "ready", "1 of 2", "1", "a.b")]
    assert [*outboxes.rows] == [("out", "2", "10 B", "3.0 s")]


def test_warnings_of_the_log_that_are_alike_are_one_row() -> None:
    def line(minute: int, event: str, **given: Any) -> dict[str, Any]:
        return {"time": f"2026-11-20T10:0{minute}:00.123Z", "level": "warning", "event": event, **given}

    failed = {"graph": "shop", "filter": "index", "error": "OSError: no"}
    lines = [
        line(0, "documents failed", **failed),
        line(1, "no worker", graphs=["a", "b"]),
        line(2, "documents failed", **failed, count=40, since="…"),
        line(3, "x" * 500, count="odd"),
    ]
    rows = [*picture.logged(lines, 10).rows]
    assert rows == [
        (f"{'x' * LINE_CHARS}…", "warning", "-", "-", "1", "2026-11-20 10:03:00 UTC"),
        ("documents failed: OSError: no", "warning", "shop", "index", "41", "2026-11-20 10:02:00 UTC"),
        ("no worker", "warning", "a, b", "-", "1", "2026-11-20 10:01:00 UTC"),
    ]
    assert [*picture.logged(lines, 2).rows] == rows[:2]
    assert not picture.logged([], 2).rows

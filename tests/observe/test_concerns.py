"""What needs a look, as sentences: each of what is wrong, and none of a node that works."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.observe.concerns import NEWS_S, Concern, concerns, seconds_of, short
from tests.observe.test_picture import QUEUE, status

TIME = "2026-11-20T10:00:00.123Z"
NOW = seconds_of(TIME) + 90
MIB = 1 << 20


def told(*causes: dict[str, Any], now: float = NOW, **changes: Any) -> list[str]:
    return [each.text for each in concerns(status(**changes), causes, now)]


def lately(**changes: Any) -> dict[str, Any]:
    return {"seconds": 60.0, "work": {}, "refused": [], **changes}


def refusal(status: str, code: str, count: int, route: str = "") -> dict[str, Any]:
    return {"status": status, "code": code, "route": route, "count": count}


def test_a_node_that_works_has_none() -> None:
    assert told() == []


def test_all_that_does_not_work_is_named() -> None:
    queue = {**QUEUE, "is_failed": True, "held": 0}
    assert told(
        state="draining",
        graphs=[{"name": "a", "state": "failed", "error": "no such model"}, {"name": "b", "state": "paused"}],
        shards=[
            {"shard": 0, "queue": None, "graphs": {}, "reason": "its worker restarts"},
            {"shard": 1, "queue": queue, "graphs": {"b": {"deliveries": 5}}},
            {"shard": 2, "queue": {**queue, "is_failed": False, "held": 2}, "graphs": {}},
        ],
        pools=[
            {"name": "models", "state": "ready", "failure": "out of memory"},
            {"name": "more", "state": "stalled", "failure": ""},
        ],
        outboxes=[{"name": "out", "reason": "file is not a database"}],
    ) == [
        "The node is draining.",
        "Outbox out cannot be read: file is not a database",
        "Graph a cannot run: no such model",
        "Graph b is paused: its documents wait (5 deliveries).",
        "Shard 0 cannot be asked: its worker restarts",
        "Shard 1 refuses documents: nothing can be written to its disk.",
        "2 deliveries are held in shard 2: their graph has too many dead letters. Replay or delete some.",
        "A process of pool models cannot be set up: out of memory",
        "Pool more has lost all of its processes.",
    ]


def test_a_destination_that_does_not_answer_has_a_time_and_a_reason() -> None:
    resting = {"filter": "warehouse", "since": TIME, "reason": "connection refused.\nmore", "instances": 2}
    graphs = [{"name": "shop", "state": "live", "resting": [resting]}]
    [found] = concerns(status(graphs=graphs), (), NOW)
    assert found == Concern(
        "resting",
        "shop",
        "warehouse",
        "Graph shop: filter warehouse rests since 10:00:00 UTC (1 min 30 s): what it works with does not answer, "
        "connection refused. Nothing is lost; its documents wait (6 deliveries), and it goes on by itself once that answers.",
    )


@pytest.mark.parametrize(
    ("free", "refused", "text"),
    [
        (
            0,
            3100,
            "is full: 0 B of 48.0 MiB are free. 3,100 POSTs were refused with 507 (store.full) in the last minute.",
        ),
        (0, 0, "is full: 0 B of 48.0 MiB are free."),
        (2 * MIB, 0, "is nearly full: 2.0 MiB of 48.0 MiB are free."),
    ],
)
def test_a_disk_without_room_is_named(free: int, refused: int, text: str) -> None:
    disk = {"folder": "/data", "total_bytes": 48 * MIB, "free_bytes": free}
    [found] = told(disk=disk, lately=lately(refused=[refusal("507", "store.full", refused)]))
    assert found == f"The disk of the data folder /data {text} Make room there; the node goes on by itself."


@pytest.mark.parametrize(
    ("day", "text"),
    [
        ("2026-12-04T10:01:31Z", None),
        ("2026-12-01T10:01:30Z", "The certificate of the node expires in 11 d, on 2026-12-01."),
        ("2026-11-20T10:00:00Z", "The certificate of the node has expired on 2026-11-20, and clients refuse it."),
    ],
)
def test_a_certificate_that_ends_soon_is_named(day: str, text: str | None) -> None:
    what = " Put a new one into the files of tls_cert and tls_key, and send the node SIGHUP."
    assert told(certificate={"expires": day}) == ([] if text is None else [text + what])


def test_a_large_disk_has_room_with_a_small_share() -> None:
    assert told(disk={"folder": "/data", "total_bytes": 1 << 40, "free_bytes": 3 << 30}) == []


def test_posts_that_were_refused_are_counted() -> None:
    refused = [
        refusal("503", "queue.full", 3),
        refusal("503", "queue.full", 2, "shop"),
        refusal("507", "store.full", 3),
        refusal("503", "unheard", 1, "mail"),
    ]
    assert told(lately=lately(refused=refused)) == [
        "A disk is full. 3 POSTs were refused with 507 (store.full) in the last minute. Make room there; the node goes on by "
        "itself.",
        "5 POSTs to /docs, /docs/shop were refused with 503 (queue.full) in the last minute: a queue, or the share of a graph in "
        "it, is full.",
        "1 POST to /docs/mail was refused with 503 (unheard) in the last minute.",
    ]


def test_tokens_over_their_budget_are_named() -> None:
    over = [
        {"token": token, "budget": budget, "count": count}
        for token, budget, count in (
            ("a", "bytes_per_s", 5),
            ("b", "requests_per_s", 3000),
            ("a", "requests_per_s", 70),
            ("", "requests_per_s", 1),
            ("c", "viewers", 1),
        )
    ]
    refused = [refusal("429", "budget.exceeded", 3000), refusal("429", "token.connections", 4, "shop")]
    lately_over = "were refused with 429 in the last minute, over"
    todo = "Have its client send less, or give it a larger budget."
    assert told(lately=lately(refused=refused, over_budget=over)) == [
        f"Token b: 3,000 requests {lately_over} requests_per_s. So were requests of 3 others. {todo}",
        f"Token a: 75 requests {lately_over} requests_per_s, bytes_per_s. {todo}",
        f"The clients of the node together: 1 request {lately_over.replace('were', 'was')} requests_per_s. {todo}",
    ]


def test_a_bound_of_a_graph_is_no_full_disk() -> None:
    refused = [refusal("507", "deadletters.full", 9, "shop"), refusal("507", "graph.disk_full", 1, "mail")]
    disk = {"folder": "/data", "total_bytes": 48 * MIB, "free_bytes": 2 * MIB}
    nearly, *others = told(disk=disk, lately=lately(refused=refused))
    assert nearly.startswith("The disk of the data folder /data is nearly full: 2.0 MiB of 48.0 MiB are free. Make room")
    assert others == [
        "9 POSTs to /docs/shop were refused with 507 (deadletters.full) in the last minute: a graph has no room for more dead "
        "letters until some are replayed or deleted.",
        "1 POST to /docs/mail was refused with 507 (graph.disk_full) in the last minute: a graph has reached its disk_bytes.",
    ]


def test_routes_beyond_some_are_counted() -> None:
    refused = [refusal("503", "graph.none_deployed", 1, f"r{number}") for number in range(7)]
    assert told(lately=lately(refused=refused)) == [
        "7 POSTs to /docs/r0, /docs/r1, /docs/r2, /docs/r3, /docs/r4 and 2 more were refused with 503 (graph.none_deployed) in "
        "the last minute: no graph that is deployed takes them."
    ]


def test_a_graph_whose_file_is_not_deployed_is_named_with_the_posts_for_it() -> None:
    reason = "orders: the graph is not valid\n  nodes.send: component 'Webhook' cannot be used: no module\n  nodes: no more."
    orders = {"file": "/g/orders.json", "graph": "orders", "routes": ["orders"], "reason": reason}
    shop = {"file": "/g/shop.json", "graph": "shop", "routes": ["shop"], "reason": "not JSON"}
    refused = [refusal("503", "graph.none_deployed", 651, "orders"), refusal("503", "graph.none_deployed", 1, "else")]
    found = concerns(status(undeployed=[orders, shop], lately=lately(refused=refused)), (), NOW)
    assert [(each.kind, each.graph) for each in found] == [("failed", "orders"), ("failed", "shop"), ("refused", "")]
    assert [each.text for each in found] == [
        "Graph orders is not running: nodes.send: component 'Webhook' cannot be used: no module; nodes: no more. 651 POSTs for "
        "it were refused with 503 in the last minute. Its file is /g/orders.json: mend it, or what it names, and save the file "
        "again, or send the node SIGHUP.",
        "Graph shop runs without what is new in its file /g/shop.json: not JSON. Mend what it names, and save the file again, or "
        "send the node SIGHUP.",
        "1 POST to /docs/else was refused with 503 (graph.none_deployed) in the last minute: no graph that is deployed takes "
        "them.",
    ]


def ending(reason: str, cause: str, filter: str = "parse", time: str = TIME) -> dict[str, Any]:
    return {"time": time, "instance": 1, "graphs": ["mail", "shop"], "cause": cause, "reason": reason, "filter": filter}


def test_ends_of_instances_are_told_by_cause() -> None:
    work = {"shop": {"filters": {"parse": {}}}, "mail": {"filters": {}}}
    killed, grown = ending("killed by SIGSEGV", "SIGSEGV"), ending("over 192 MiB of memory", "memory", "")
    unknown = {**killed, "filter": ""}
    assert told(work=work, endings=[killed, grown, unknown, killed]) == [
        "Instances ended 3 times within 10 min: killed by SIGSEGV, the last at 10:00:00 UTC. At work was filter parse of graph "
        "shop. What they had runs again; a document that ends instances again becomes a dead letter.",
        "An instance ended: over 192 MiB of memory, at 10:00:00 UTC. "
        "What it had runs again; a document that ends instances again becomes a "
        "dead letter. Some filter "
        "keeps what it has seen, or max_memory_bytes is too small.",
    ]


def test_what_was_long_ago_is_no_news() -> None:
    cause = {"graph": "shop", "filter": "judge", "code": "x", "count": 1, "latest": TIME}
    assert told(cause, endings=[ending("killed by SIGSEGV", "SIGSEGV")], now=seconds_of(TIME) + NEWS_S + 1) == []


def test_a_filter_that_several_graphs_have_is_of_none() -> None:
    filters: dict[str, Any] = {"filters": {"parse": {}}}
    [found] = concerns(status(work={"shop": filters, "mail": filters}, endings=[ending("exited with status 1", "exit")]), (), NOW)
    assert (found.graph, found.filter) == ("", "parse")


def growing(steps: list[int], name: str = "instance-1") -> list[dict[str, Any]]:
    *before, now = (size * MIB for size in steps)
    return [{"name": name, "pid": 9, "memory_bytes": now, "memory_before": before}]


def test_memory_that_grows_is_told_of_with_what_runs_there() -> None:
    assert told(processes=growing([40, 60, 80, 100, 120, 125])) == [
        "The memory of instance 1 grows: 40.0 MiB within the last minute, 125 MiB now of 512 MiB that it may have. It runs shop: "
        "one of "
        "their filters keeps what it has seen."
    ]
    assert told(processes=growing([40, 60, 80, 100, 120, 125], "worker-0")) == [
        "The memory of worker 0 grows: 40.0 MiB within the last minute, 125 MiB now."
    ]


@pytest.mark.parametrize("steps", [[40] * 8, [40, 60, 80, 80, 99], [99, 40, 50, 60, 60], [40, 60, 80], [10, 12, 14, 16, 18]])
def test_memory_that_grew_and_rests_is_no_concern(steps: list[int]) -> None:
    assert told(processes=growing([*steps])) == []


def test_dead_letters_are_told_with_an_example() -> None:
    cause = {"graph": "shop", "filter": "judge", "code": "order.bad", "count": 1200, "latest": TIME}
    assert told({**cause, "error": "there is no price\nat all", "receipt": "r-1"}, {**cause, "filter": ""}) == [
        "Graph shop: 1,200 dead letters in filter judge with order.bad, the last at 10:00:00 UTC: there is no price. "
        "One is of receipt r-1.",
        "Graph shop: 1,200 dead letters with order.bad, the last at 10:00:00 UTC.",
    ]


def test_what_failed_for_want_of_memory_says_how_much_there_was() -> None:
    cause = {"graph": "shop", "filter": "keep", "code": "component.raised", "count": 1, "latest": TIME, "error": "MemoryError"}
    [found] = told(cause)
    assert found.endswith(": MemoryError, the memory of its process was used up (max_memory_bytes, 512 MiB).")
    [found] = told(cause, max_memory_bytes=0)
    assert found.endswith(": MemoryError, the memory of its process was used up.")


def test_a_reason_that_is_not_ours_is_kept_short() -> None:
    assert len(short("x" * 1000)) < 200
    assert short("no.\nyes") == "no"


def test_a_node_of_the_fleet_that_is_away_is_named() -> None:
    members = [
        {"name": "a:1", "state": "ready", "reason": ""},
        {"name": "b:1", "state": "away", "reason": "no answer within 3 s"},
        {"name": "c:1", "state": "twin", "reason": "two nodes have the number 7"},
    ]
    away, twin = told(fleet=members)
    assert away.startswith("Node b:1 does not answer: no answer within 3 s.")
    assert twin == "Node c:1 is not let into the fleet: two nodes have the number 7."

"""docs/operations.md is complete: a row for each failure that the fault suites cause, a section for each alert.

What it names exists: metrics, log lines, settings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from pypes.core.graph_limits import GraphLimits
from pypes.core.limits import Limits, quantity
from pypes.ingest.store import schema as shard
from pypes.runtime.backup import manifest
from pypes.runtime.graphs import store as control
from pypes_search import schema as index
from tests.deploy.settings import SAMPLES, alerts
from tests.faults.chaos.faults import WEIGHTS
from tests.test_docs import anchors

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "operations.md"
TEXT = GUIDE.read_text(encoding="utf-8")

#: The rows of the failures that each test of tests/faults causes, by the beginnings of both; the longest one of a test counts.
#: Tests of what is no failure have none.
ROWS: dict[str, tuple[str, ...]] = {
    "test_audit": ("An ingest worker is killed", "The supervisor is killed"),
    "test_background::test_a_process": ("Work of a process fails",),
    "test_background::test_the_node": ("Work of a process fails",),
    "test_backup": ("The node is gone with its disk",),
    "test_clock": ("The clock jumps",),
    "test_crash::test_a_killed_arbiter": ("The arbiter is killed",),
    "test_crash::test_a_killed_supervisor": ("The supervisor is killed",),
    "test_crash::test_a_stopped_worker": ("A process is stopped",),
    "test_damage::test_a_damaged_row": ("A row of the queue is damaged",),
    "test_damage::test_a_damaged_tail": ("The end of the log is damaged",),
    "test_deployments::test_instances_killed": ("A process dies in the middle of a deployment",),
    "test_deployments::test_the_supervisor": ("A process dies in the middle of a deployment",),
    "test_deployments::test_versions_alternate": (),
    "test_deployments::test_what_cannot": ("A deployment fails",),
    "test_deployments::test_where_memory_is_short": (),
    "test_destination": ("A destination is away", "A destination is slow"),
    "test_disk_full": ("The disk is full",),
    "test_disk_full::test_a_read_only": ("The data directory is read-only at the start",),
    "test_exceptions": ("A document makes a component raise", "A component breaks its contract"),
    "test_exceptions::test_a_source": ("A source fails",),
    "test_failing_sync": ("The disk fails, or turns read-only",),
    "test_failing_sync::test_a_disk_that_is_full": ("The disk is full",),
    "test_draining::test_everything": (),
    "test_draining::test_a_kill": ("A node dies while it is drained",),
    "test_fleet::test_every_file": (),
    "test_fleet::test_what_a_killed_node": ("A node of a fleet dies",),
    "test_handed_over": ("An instance is killed", "An ingest worker is killed", "The supervisor is killed"),
    "test_outbox::test_a_full_disk": ("The disk is full",),
    "test_outbox::test_processes": ("A process dies while it publishes",),
    "test_outbox::test_what_waits": (),
    "test_poison": ("A document hangs", "A document crashes", "A document takes too much memory"),
    "test_poison::test_a_process_that_is_stopped": ("A process is stopped",),
    "test_poison::test_kills_from_outside": ("An instance is killed",),
    "test_pools": (),
    "test_pools::test_a_pool_that_cannot_be_set_up": ("A deployment fails",),
    "test_pools::test_a_worker_that_is_killed": ("A pool worker dies",),
    "test_pools::test_nothing_is_left": ("The supervisor is killed",),
    "test_pools::test_poison": ("A pool worker dies", "A document hangs", "A document crashes"),
    "test_pools::test_what_a_pool_worker_started": ("A pool worker dies",),
    "test_pools::test_what_components_started": ("The supervisor is killed",),
    "test_pools_deployed": (),
    "test_pools_deployed::test_a_graph_whose_pool": ("A pool has lost all processes",),
    "test_pools_deployed::test_pool_workers_that_stay_stopped": ("A pool worker dies",),
    "test_pools_deployed::test_what_cannot_run": ("A deployment fails",),
    "test_restart": (),
    "test_restart::test_a_grace_too_short": ("The time to stop is too short",),
    "test_secrets": (),
    "test_slow_publisher": ("A destination is slow", "More comes than is run"),
    "test_sources::test_a_run": ("A process dies while it fetches",),
    "test_sources::test_a_time_that_was_missed": ("A scheduled time is missed",),
    "test_tls::test_a_certificate": ("The certificate expires",),
    "test_tls::test_workers": (),
    "test_sync": ("The end of the log is damaged",),
    "test_sync::test_without_durability": ("Power fails with",),
    "test_tokens": ("An ingest worker is killed", "The supervisor is killed"),
    "test_upgrade": (),
    "test_waiting_bodies": ("More comes than is run",),
    "test_chaos": (
        *("An instance is killed", "An ingest worker is killed", "The arbiter is killed", "The supervisor is killed"),
        *("A document hangs", "A document crashes", "A document takes too much memory", "A component breaks its contract"),
    ),
    "test_checks": (),
    "test_operations": ("A process dies while it publishes",),
    "test_model": (),
    "test_power": ("The end of the log is damaged",),
    "test_power::test_without_durability": ("Power fails with",),
}
#: The rows of the events of a chaos run.
EVENTS = {
    "kill": "An instance is killed",
    "pause": "A process is stopped",
    "disturb_destination": "A destination is away",
    "fill_disk": "The disk is full",
    "deploy": "A process dies in the middle of a deployment",
    "roll": None,
    "restart": None,
    "half_open": "Clients send nothing",
    "jump_clock": "The clock jumps",
}
#: The rows of tests on servers, by a part of their names; the first one that fits counts.
ON_SERVERS = {
    "crash_between_any_two_pairs": "A process dies while it fetches",
    "crash_anywhere": "A process dies while it fetches",
    "goes_on_after_a_kill": "A process dies while it fetches",
    "kill": "A process dies while it publishes",
    "crash": "A process dies while it publishes",
    "held_up": "A process dies while it publishes",
    "holds_up": "One item cannot be read",
    "away_or_full": "A destination is away",
    "away_ends": "A source fails",
    "not_there_ends": "A source fails",
    "lets_the_run_fail": "A source fails",
    "refuses_ends": "A source fails",
    "wrong_password": "A source fails",
    "certificate": "A source fails",
    "breaks_anywhere": "A source fails",
    "what_the_server_refuses_is_told": "A source fails",
    "deletions_have_to_be_confirmed": "Most of what was known is gone",
    "too_large": "One item is too large",
    "cannot_be_read_is_a_dead_letter": "One item is too large",
    "who_is_refused": "A destination does not fit",
    "is_not_there_is_waited_for": "A destination is not there at the set-up",
    "is_waited_for": "A destination is away",
    "connection_that_was_ended": "A destination is away",
    "dropped": "A table, an index, or a file",
    "removed": "A table, an index, or a file",
    "fails_alone": "A destination refuses one document",
    "fail_alone": "A destination refuses one document",
    "fails_it_alone": "A destination refuses one document",
    "costs_its_document_alone": "A destination refuses one document",
    "is_refused_fails": "A destination refuses one document",
    "refused_is_a_dead_letter": "A destination refuses one document",
    "packet_fails": "A destination refuses one document",
    "name_that_is_taken_is_refused": "A destination refuses one document",
    "refused": "A destination does not fit",
    "has_to_be_mended": "A destination does not fit",
}
#: Parts of the names of tests that tell of failures.
_FAILS = re.compile(r"crash|kill|refus|away|not_there|breaks|wrong|busy|dropped|removed|_ended|too_large|alone|held_up|holds_up")
#: Tests whose names tell of a failure, and that have none, or one of the tests themselves.
NO_FAILURES = {
    "test_a_server_ends_with_a_test_that_fails",
    "test_entries_that_were_deleted_are_passed_over",
    "test_an_id_of_the_folder_alone_is_refused",
    "test_a_newer_version_that_failed_in_part_holds_up_no_older_one",
    "test_folders_of_the_machine_are_refused",
    "test_files_are_found_and_another_embedder_takes_over_without_a_gap",
}


def rows() -> dict[str, list[str]]:
    """The cells of the tables of failures, by what is bold in the first."""
    section = TEXT.partition("\n## When something fails\n")[2].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        if name := re.match(r"\| \*\*(.+?)\*\*", line):
            found[name[1]] = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    return found


def named_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name


def has_row(start: str) -> bool:
    return any(name.startswith(start) for name in rows())


def rows_of(module: str, test: str) -> tuple[str, ...] | None:
    name = f"{module}::{test}"
    fits = [start for start in ROWS if name.startswith(start) and (len(start) > len(module) or name.startswith(f"{start}::"))]
    return ROWS[max(fits, key=len)] if fits else None


def row_on_servers(test: str) -> str | None:
    return next((row for part, row in ON_SERVERS.items() if part in test), None)


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "faults").rglob("test_*.py")), ids=lambda path: path.stem)
def test_each_failure_has_its_row(path: Path) -> None:
    for test in named_in(path):
        found = rows_of(path.stem, test)
        assert found is not None, f"{path.stem}::{test}: give it a row of docs/operations.md, or none, in ROWS"
        assert not [start for start in found if not has_row(start)]


def test_each_event_of_a_chaos_run_has_its_row() -> None:
    assert EVENTS.keys() == WEIGHTS.keys()
    assert all(start is None or has_row(start) for start in EVENTS.values())


@pytest.mark.parametrize("path", sorted(ROOT.glob("components/*/tests/servers/test_*.py")), ids=lambda path: path.stem)
def test_each_failure_of_a_server_has_its_row(path: Path) -> None:
    for test in named_in(path):
        if _FAILS.search(test) and test not in NO_FAILURES:
            row = row_on_servers(test)
            assert row is not None, f"{path.stem}::{test}: give it a row of docs/operations.md in ON_SERVERS"
            assert has_row(row)


def test_nothing_is_named_that_is_not_there() -> None:
    there = [(path.stem, test) for path in (ROOT / "tests" / "faults").rglob("test_*.py") for test in named_in(path)]
    names = [f"{module}::{test}" for module, test in there]
    assert not [start for start in ROWS if not any(name.startswith(start) for name in names)]


def test_rows_are_whole() -> None:
    assert all(len(cells) == 4 and all(cells) for cells in rows().values())
    assert len(rows()) > 30


def test_metrics_that_are_named_exist() -> None:
    named = set(re.findall(r"`(pypes_\w+)", TEXT))
    assert named
    names = {metric.name for metric in SAMPLES.values()} | SAMPLES.keys()
    assert not named - names
    for name, labels in re.findall(r"`(pypes_\w+)\{([^}]*)\}`", TEXT):
        metric = next(metric for sample, metric in SAMPLES.items() if name in (sample, metric.name))
        assert set(re.findall(r"(\w+)=", labels)) <= {*metric.labels}, name


def test_log_lines_that_are_named_exist() -> None:
    paths = [*(ROOT / "pypes").rglob("*.py"), *ROOT.glob("components/*/pypes_*/*.py")]
    # adjacent strings are one
    sources = re.sub(r'"\s*\n\s*f?"', "", "".join(path.read_text(encoding="utf-8") for path in paths))
    for name, cells in rows().items():
        told = re.split(r"\blogs? ", cells[1])[1:]
        events = [event for part in told if not part.startswith("of `gunicorn`") for event in re.findall(r"`([^`]+)`", part)]
        for event in events:
            is_other = event.startswith("pypes_") or re.fullmatch(r"[a-z_]+\.[a-z_]+|GET .*|outbox … is full", event)
            assert is_other or event.rstrip("… ").rstrip(":") in sources, f"{name}: there is no log line {event!r}"


def test_measured_costs_are_those_of_the_benchmarks() -> None:
    table = TEXT.partition("\n## Sizing\n")[2].partition("\n## ")[0]
    costs = re.findall(r"^\| .+? \| (.+?) \| \[\w+\]\(\.\./(benchmarks/\w+\.md)\) \|$", table, re.MULTILINE)
    assert len(costs) > 10
    for shown, source in costs:
        measured = (ROOT / source).read_text(encoding="utf-8")
        for figure in re.findall(r"\d[\d,.]*\d|\d", shown):
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", measured), f"{figure} is not in {source}"


def test_bounds_of_stores_are_those_of_the_code() -> None:
    table = TEXT.partition("\n## Room on the disk\n")[2].partition("\n- ")[0]
    cells = re.findall(r"^\| (.+?) \| `(\w+)`(.*?) \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    limits = {each.name: each for each in fields(Limits)}
    of_graphs = {each.name for each in fields(GraphLimits)}
    assert len([name for _, name, more, *_ in cells if not more]) >= 8
    for _, name, more, default, _ in cells:
        if more.startswith(" of the graph"):
            assert name in of_graphs
        elif more in ("", " for drafts"):
            assert default == quantity(getattr(Limits(), name), limits[name].metadata["unit"]), name


def test_formats_of_stores_are_those_of_the_code() -> None:
    table = TEXT.partition("\n## Upgrade\n")[2].partition("\n## ")[0]
    formats = dict(re.findall(r"^\| (.+?) \| (\d) \|", table, re.MULTILINE))
    assert formats == {
        "`shards/NNN/queue.db`": str(shard.FORMAT),
        "`control.db`": str(control.FORMAT),
        "an index of `SQLiteSearch`": str(index.FORMAT),
        "a backup": str(manifest.FORM),
    }


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    there = {alert.name for alert in alerts()}
    told = set(re.findall(r"^#+ (Pypes[A-Z]\w+)$", TEXT, re.MULTILINE))
    assert told == there
    assert {alert.annotations["runbook_url"].partition("#")[2] for alert in alerts()} <= anchors(GUIDE)

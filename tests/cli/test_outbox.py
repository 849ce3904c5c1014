"""pypes outbox, against a server of its own that answers as it is told."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.test_records import Server, run, server

__all__ = ["server"]

USE = {"name": "results", "waiting": 2, "leased": 1, "bytes": 40, "oldest_s": 1.5, "reason": ""}
GIVEN: dict[str, Any] = {"results": [{"id": "a"}, {"id": "é"}], "cursor": "1-2~0123456789abcdef", "waiting": 2}
PLACE = "/outbox/results/1-2~0123456789abcdef"


def test_they_are_listed(server: Server) -> None:
    server.answers["GET", "/outbox"] = 200, [USE]
    heading, row = (line.split() for line in run(server, "outbox", "list").output.splitlines())
    assert heading == ["name", "waiting", "leased", "bytes", "oldest_s", "reason"]
    assert row == ["results", "2", "1", "40", "1.5"]
    assert json.loads(run(server, "outbox", "list", "--json").output) == [USE]


def test_results_are_fetched_as_lines(server: Server) -> None:
    server.answers["GET", "/outbox/results"] = 200, GIVEN
    result = run(server, "outbox", "fetch", "results", "--limit", "2", "--wait", "1", "--lease", "60")
    assert result.exit_code == 0, result.output
    assert result.stdout == '{"id":"a"}\n{"id":"é"}\n'
    assert result.stderr == f"cursor: {GIVEN['cursor']}\n"
    assert json.loads(run(server, "outbox", "fetch", "results", "--json").stdout) == GIVEN


def test_they_are_acknowledged_when_they_are_written(server: Server) -> None:
    server.answers["GET", "/outbox/results"] = 200, GIVEN
    # what the node refuses is an error, although the results are there
    assert run(server, "outbox", "fetch", "results", "--acknowledge").exit_code == 1
    server.answers["DELETE", PLACE] = 200, {"acknowledged": 2}
    result = run(server, "outbox", "fetch", "results", "--acknowledge")
    assert (result.exit_code, result.stderr) == (0, "")
    server.answers["GET", "/outbox/results"] = 200, {"results": [], "cursor": None, "waiting": 0}
    assert run(server, "outbox", "fetch", "results", "--acknowledge").stderr == "nothing waits\n"


def test_a_cursor_is_acknowledged(server: Server) -> None:
    server.answers["DELETE", PLACE] = 200, {"acknowledged": 1}
    assert run(server, "outbox", "acknowledge", "results", GIVEN["cursor"]).output == "1 result acknowledged\n"
    assert json.loads(run(server, "outbox", "acknowledge", "results", GIVEN["cursor"], "--json").output) == {"acknowledged": 1}
    assert run(server, "outbox", "acknowledge", "results", "other").exit_code == 1

"""pypes stores, against a server of its own that answers as it is told."""

from __future__ import annotations

import json

from tests.cli.test_records import Server, run, server

__all__ = ["server"]

STORE = {"filter": "changed", "component": "Unchanged", "entries": 12, "most": 1_000_000, "bytes": 40_960}


def test_they_are_listed(server: Server) -> None:
    broken = {"filter": "other", "error": "it cannot be read: file is not a database"}
    server.answers["GET", "/graphs/shop/stores"] = 200, [STORE, broken]
    result = run(server, "stores", "list", "shop")
    assert result.exit_code == 0, result.output
    heading, first, second = (line.split() for line in result.output.splitlines())
    assert heading == ["filter", "component", "entries", "most", "bytes", "error"]
    assert first == ["changed", "Unchanged", "12", "1000000", "40960"]
    assert " ".join(second) == "other it cannot be read: file is not a database"
    assert json.loads(run(server, "stores", "list", "shop", "--json").output) == [STORE, broken]


def test_one_is_cleared(server: Server) -> None:
    server.answers["DELETE", "/graphs/shop/stores/changed"] = 200, {"filter": "changed", "cleared": 12}
    assert run(server, "stores", "clear", "shop", "changed").output == "12 entries cleared\n"
    result = run(server, "stores", "clear", "shop", "changed", "--json")
    assert json.loads(result.output) == {"filter": "changed", "cleared": 12}
    assert run(server, "stores", "clear", "shop", "other").exit_code == 1

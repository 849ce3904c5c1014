"""pypes token, against a server of its own that answers as it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pypes.cli import token as module
from tests.cli.test_records import Server, run, server

__all__ = ["server"]

TOKEN: dict[str, Any] = {
    "name": "feeder",
    "state": "live",
    "scopes": ["ingest", "read"],
    "graphs": [],
    "created": "2026-11-21T08:00:00.000Z",
    "created_by": "admin",
    "expires": None,
}
SECRET = {"secret": "pypes_abc"}


def sent(server: Server) -> Any:
    """The last body that the server was sent."""
    return server.asked[-1][3]


def test_a_secret_is_all_that_standard_output_gets(server: Server) -> None:
    server.answers["POST", "/tokens"] = 201, {**TOKEN, **SECRET}
    result = run(server, "token", "create", "feeder", "--scope", "ingest", "--scope", "read")
    assert result.stdout == "pypes_abc\n"
    assert result.stderr == "feeder: ingest, read. Keep this secret, it is not shown again:\n"
    assert sent(server) == {"name": "feeder", "scopes": ["ingest", "read"], "graphs": []}
    result = run(server, "token", "create", "feeder", "--scope", "read", "--json")
    assert json.loads(result.stdout) == {**TOKEN, **SECRET}


@pytest.mark.parametrize(
    ("given", "sent_as"),
    [("90d", 1_000_000 + 90 * 86400), ("12h", 1_000_000 + 12 * 3600), ("30m", 1_001_800), ("2027-01-01", None)],
)
def test_an_end_may_be_a_length(server: Server, monkeypatch: pytest.MonkeyPatch, given: str, sent_as: float | None) -> None:
    monkeypatch.setattr(module, "wall", lambda: 1_000_000.0)
    server.answers["POST", "/tokens"] = 201, {**TOKEN, **SECRET, "expires": "2027-01-01T00:00:00Z"}
    result = run(server, "token", "create", "feeder", "--scope", "ingest", "--expires", given)
    assert ", until 2027-01-01T00:00:00Z." in result.stderr
    assert sent(server)["expires"] == (given if sent_as is None else sent_as)


def test_tokens_are_listed_and_shown(server: Server) -> None:
    server.answers["GET", "/tokens"] = 200, [TOKEN]
    heading, row = run(server, "token", "list").stdout.splitlines()
    assert heading.split() == ["name", "state", "scopes", "graphs", "budget", "created", "created_by", "expires"]
    assert row.split()[:4] == ["feeder", "live", "ingest,", "read"]
    assert json.loads(run(server, "token", "list", "--json").stdout) == [TOKEN]
    server.answers["GET", "/tokens/feeder"] = 200, TOKEN
    assert "scopes: ingest, read\n" in run(server, "token", "show", "feeder").stdout


def test_what_is_not_given_is_not_changed(server: Server) -> None:
    server.answers["PATCH", "/tokens/feeder"] = 200, TOKEN
    for options, body in (
        (["--scope", "read"], {"scopes": ["read"]}),
        (["--graph", "a", "--graph", "b-*"], {"graphs": ["a", "b-*"]}),
        (["--all-graphs"], {"graphs": []}),
        (["--never-expires"], {"expires": None}),
        (["--expires", "2027-01-01"], {"expires": "2027-01-01"}),
        (["--bytes-per-s", "5MiB"], {"budget": {"bytes_per_s": 5 << 20}}),
        (["--no-budget"], {"budget": {"requests_per_s": None, "bytes_per_s": None, "documents_per_s": None}}),
        (
            ["--no-budget", "--documents-per-s", "2.5"],
            {"budget": {"requests_per_s": None, "bytes_per_s": None, "documents_per_s": 2.5}},
        ),
    ):
        assert run(server, "token", "change", "feeder", *options).stdout == "feeder: ingest, read\n"
        assert sent(server) == body


def test_a_token_is_revoked(server: Server) -> None:
    server.answers["DELETE", "/tokens/feeder"] = 204, None
    assert run(server, "token", "revoke", "feeder").stdout == "feeder: revoked\n"
    assert run(server, "token", "revoke", "other").exit_code == 1


def test_a_token_may_have_a_budget(server: Server) -> None:
    budget = {"requests_per_s": 100, "bytes_per_s": 5 << 20}
    server.answers["POST", "/tokens"] = 201, {**TOKEN, **SECRET, "budget": budget}
    result = run(server, "token", "create", "feeder", "--scope", "ingest", "--requests-per-s", "100", "--bytes-per-s", "5MiB")
    assert result.stderr.startswith("feeder: ingest, read, at most requests_per_s=100, bytes_per_s=5242880. Keep")
    assert sent(server) == {"name": "feeder", "scopes": ["ingest"], "graphs": [], "budget": budget}
    server.answers["GET", "/tokens"] = 200, [{**TOKEN, "budget": budget}]
    assert "requests_per_s=100, bytes_per_s=5242880" in run(server, "token", "list").stdout
    for wrong in (["--bytes-per-s", "much"], ["--requests-per-s", "5MiB"]):
        assert run(server, "token", "create", "feeder", "--scope", "ingest", *wrong).exit_code == 2


@pytest.mark.parametrize("command", [("create", "feeder", "--scope", "ingest"), ("change", "feeder")])
@pytest.mark.parametrize("option", ["--requests-per-s", "--documents-per-s", "--bytes-per-s"])
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400", "-1", "", "9" * 400])
def test_a_budget_that_is_no_number_is_refused(server: Server, command: tuple[str, ...], option: str, number: str) -> None:
    """JSON would have null for it, and the token no bound."""
    server.answers["POST", "/tokens"] = 201, {**TOKEN, **SECRET}
    server.answers["PATCH", "/tokens/feeder"] = 200, TOKEN
    result = run(server, "token", *command, option, number)
    assert result.exit_code == 2
    assert option in result.stderr
    assert server.asked == []

"""pypes drain, against a server of its own that answers as it is told."""

from __future__ import annotations

import json

from tests.cli.test_records import Server, run, server

__all__ = ["server"]


def test_it_says_what_has_begun(server: Server) -> None:
    begun = {"to": "b:8080", "graphs": ["shop"], "bytes": 1024}
    server.answers["POST", "/drain"] = 202, begun
    assert run(server, "drain", "--to", "b:8080").output == (
        "1024 bytes go to b:8080, then the node ends; documents wait for shop\n"
    )
    assert json.loads(run(server, "drain", "--to", "b:8080", "--yes", "--json").output) == begun

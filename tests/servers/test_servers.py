"""The servers of tests are up when a test gets them, and gone after it."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest
import urllib3

from pypes.testing.node import free_port
from tests.servers.process import listens, running

pytestmark = pytest.mark.servers


def test_postgresql_has_vectors(postgresql: str) -> None:
    with psycopg.connect(postgresql) as database:
        assert database.execute("SELECT '[1,2]'::vector <-> '[1,3]'::vector").fetchone() == (1.0,)


def test_search_servers_say_which_they_are(opensearch: str, elasticsearch: str) -> None:
    said = [urllib3.request("GET", url).json()["version"] for url in (opensearch, elasticsearch)]
    assert [each.get("distribution") for each in said] == ["opensearch", None]


def test_a_server_ends_with_a_test_that_fails(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", tmp_path, str(port)]
    with pytest.raises(ZeroDivisionError), running(command, port, tmp_path / "log") as process:
        raise ZeroDivisionError
    assert process.returncode is not None
    assert not listens(port)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"has ended with 3:\nno room"),
        running([sys.executable, "-c", "import sys; print('no room'); sys.exit(3)"], free_port(), tmp_path / "log"),
    ):
        pass

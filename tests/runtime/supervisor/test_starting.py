"""What a node refuses to start with."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pypes.config import Settings, load_settings
from pypes.core.limits import Limits
from pypes.core.settings import ServerSettings
from pypes.errors import InvalidConfig
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.supervisor.starting import check_start, warn_of_disk, warn_of_network
from pypes.runtime.supervisor.supervisor import Supervisor
from tests.certificates import Authority


def problems(tmp_path: Path, **flags: str) -> dict[str, str]:
    settings = load_settings(flags={f"server.{name}": value for name, value in flags.items()}, environ={}, folder=tmp_path)
    store = ControlStore(tmp_path / "control.db")
    try:
        check_start(settings, store)
    except InvalidConfig as error:
        return {problem.path: problem.message for problem in error.problems}
    finally:
        store.close()
    return {}


def a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "graphs").mkdir(exist_ok=True)
    (tmp_path / "graphs" / name).write_text(text)


def test_a_folder_of_graphs_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert problems(tmp_path) == {}  # the one that nobody has named need not
    assert problems(tmp_path, graphs="nosuch")["graphs"].startswith(f"{tmp_path / 'nosuch'} is not there; ")
    (tmp_path / "a.json").write_text("{}")
    assert "is no folder" in problems(tmp_path, graphs="a.json")["graphs"]


def test_a_default_must_be_a_graph_if_there_are_any(tmp_path: Path) -> None:
    assert problems(tmp_path, default="search") == {}  # none is there yet: it may come over HTTP
    a_file(tmp_path, "search.json", json.dumps({"pypes": 1, "name": "find"}))
    a_file(tmp_path, "broken.json", "{")
    a_file(tmp_path, "odd.json", "[]")
    for name in ("search", "find", "broken", "odd"):
        assert problems(tmp_path, default=name) == {}
    assert problems(tmp_path, default="serach")["default"].endswith("did you mean 'search'?")
    assert problems(tmp_path, default="qqq")["default"].endswith("there are broken, find, odd, search")


def test_a_default_that_was_deleted_keeps_no_node_from_starting(tmp_path: Path) -> None:
    a_file(tmp_path, "search.json", "{}")
    store = ControlStore(tmp_path / "control.db")
    store.deploy(StoredGraph("gone", 1, {}, 0.0, "test"))
    store.close()
    assert problems(tmp_path, default="gone") == {}
    store = ControlStore(tmp_path / "control.db")
    store.undeploy("gone")
    store.close()
    assert problems(tmp_path, default="gone") == {}


def test_the_server_says_so_before_it_starts_anything(tmp_path: Path) -> None:
    settings = load_settings(flags={"server.graphs": "nosuch", "server.bind": "127.0.0.1:0"}, environ={}, folder=tmp_path)
    with pytest.raises(InvalidConfig) as caught:
        asyncio.run(Supervisor(settings, lambda: settings).run())
    assert [problem.code for problem in caught.value.problems] == ["config.graphs"]


@pytest.mark.parametrize(("bound", "warns"), [(1 << 20, False), (1 << 60, True)])
def test_a_disk_that_may_become_too_small_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bound: int, warns: bool
) -> None:
    warn_of_disk(Settings(server=ServerSettings(data=tmp_path), limits=Limits(receipts_bytes=bound, queue_max_bytes=1 << 20)))
    assert [record.__dict__["folder"] for record in caplog.records] == [str(tmp_path)] * warns


@pytest.mark.parametrize(
    ("flags", "has_tokens", "warns"),
    [
        ({"bind": "0.0.0.0:80"}, False, True),
        ({"bind": "[::]:80", "token": ""}, True, True),
        ({"bind": "0.0.0.0:80", "token": ""}, False, False),
        ({"bind": "127.0.0.1:80"}, True, False),
        ({"bind": "0.0.0.0:80", "proxies": ("10.0.0.0/8",)}, True, False),
        ({"bind": "0.0.0.0:80", "tls_cert": "node.pem", "tls_key": "node.key"}, True, False),
    ],
)
def test_tokens_in_the_clear_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, flags: dict[str, Any], has_tokens: bool, warns: bool
) -> None:
    Authority(tmp_path).issue()
    environ = {"PYPES_TOKEN": flags.get("token", "secret")}
    given = {f"server.{name}": value for name, value in {**flags, "insecure": True}.items() if name != "token"}
    warn_of_network(load_settings(flags=given, environ=environ, folder=tmp_path), has_tokens=has_tokens)
    assert ["in the clear" in record.message for record in caplog.records] == [True] * warns

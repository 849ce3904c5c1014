"""What belongs to a node, wherever its folders lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.config import Settings
from pypes.core.paths import Paths
from pypes.core.settings import CallbackSettings, FleetSettings, ServerSettings
from pypes.observe.settings import ObserveSettings
from pypes.runtime.folders import find_runtime_dir, paths_of


def rules(base: Path, graphs: str, fleet: str | None = None) -> Paths:
    token = base / "token"
    token.write_text("secret")
    for name in ("data", graphs):
        (base / name).mkdir(parents=True, exist_ok=True)
    server = ServerSettings(
        data=base / "data", graphs=base / graphs, token_file=token, fleet=base / fleet if fleet is not None else None
    )
    return paths_of(Settings(server=server, source=base / "pypes.ini"))


@pytest.mark.parametrize("graphs", ["graphs", ".", "data", "data/graphs"])
def test_what_publishers_write_is_theirs_and_graph_files_are_not(tmp_path: Path, graphs: str) -> None:
    paths = rules(tmp_path, graphs)
    for free in ("out.jsonl", "deep/er/out.json", str(tmp_path / "elsewhere" / "out.json"), str(tmp_path / "x.jsonl")):
        assert paths.problem(free) == ""
    for own in ("shards/000/queue.db", "control.db", "lock", "clock", "../token", "../pypes.ini"):
        assert paths.problem(own)
    assert "graph" in paths.problem(str(tmp_path / graphs / "evil.json"))
    assert paths.problem(str(find_runtime_dir(tmp_path / "data") / "control.sock"))


def test_a_shared_folder_around_the_data_directory(tmp_path: Path) -> None:
    paths = rules(tmp_path, "graphs", fleet=".")
    assert paths.problem("out.jsonl") == ""
    assert paths.problem("shards/x")
    assert rules(tmp_path, "graphs", fleet="fleet").problem("../fleet/g.json")


def test_files_with_secrets_of_the_node_are_its_own(tmp_path: Path) -> None:
    names = ("token", "node.key", "secret", "headers", "fleet-secret")
    token, key, secret, headers, shared = (tmp_path / name for name in names)
    settings = Settings(
        server=ServerSettings(data=tmp_path / "data", token_file=token, tls_key=key),
        callbacks=CallbackSettings(secret_file=secret),
        fleet=FleetSettings(secret_file=shared),
        observe=ObserveSettings(otlp_headers_file=headers),
    )
    paths = paths_of(settings)
    for own in (token, key, secret, headers, shared):
        own.write_text("secret")
        assert paths.problem(str(own)), own

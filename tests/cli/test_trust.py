"""Commands that ask a node over TLS: they trust what they are told, and nobody for want of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.core.trust import VARIABLE
from pypes.testing.node import Node, running
from tests.certificates import Authority
from tests.faults.test_crash import graph


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("node")
    with running(base, graph(base / "out"), *authority.issue().flags, ca_file=authority.file, workers=1, instances=1) as node:
        yield node


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "pypes", *words]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False)


def test_a_node_is_asked_if_its_certificate_is_trusted(node: Node, authority: Authority) -> None:
    stranger = run("status", "--url", node.url)
    assert stranger.returncode != 0
    assert "--ca-file" in stranger.stderr
    assert VARIABLE in stranger.stderr
    for asked in (run("status", "--url", node.url, "--ca-file", str(authority.file)),
                  run("status", "--url", node.url, **{VARIABLE: str(authority.file)})):  # fmt: skip
        assert asked.returncode == 0, asked.stderr
        assert "Pypes ready" in asked.stdout
    # its own certificate is enough, but not under another name
    own = str(authority.folder / "node.pem")
    assert run("status", "--url", node.url, "--ca-file", own).returncode == 0
    other = run("status", "--url", node.url.replace("127.0.0.1", "127.0.0.2"), "--ca-file", own)
    assert other.returncode != 0


def test_files_are_fed_to_it(node: Node, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"id": "fed"}')
    words = ["feed", node.url, str(tmp_path / "a.json"), "--no-id", "--wait"]
    refused = run(*words)
    assert refused.returncode != 0
    # at once, not after trying for half a minute
    assert "trying again" not in refused.stderr
    assert "--ca-file" in refused.stderr
    fed = run(*words, "--ca-file", str(authority.file))
    assert fed.returncode == 0, fed.stderr

"""``pypes search`` and ``pypes ask``: what they print, who embeds the question, and answers that a server composes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pypes import Packet
from pypes.cli.commands import pypes
from pypes_search.embedders import Embedders
from pypes_search.vectors import Space

from .test_search_asking import chunks, publish

EMBEDDERS = """
def embedder_for(model):
    if model == "broken":
        raise OSError("its file is gone")
    return embed if model == "compass" else None

def embed(texts):
    return [[1.0, 0.0] if "loom" in text else [0.0, 1.0] for text in texts]
"""


@pytest.fixture
def compass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that embeds for the model ``compass``."""
    folder = tmp_path / "installed"
    info = folder / "compass-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "compass_of_a_test.py").write_text(EMBEDDERS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: compass\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pypes.embedders]\ncompass = compass_of_a_test:embedder_for\n")
    monkeypatch.syspath_prepend(str(folder))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(pypes, [str(argument) for argument in arguments])


@pytest.fixture
def index(tmp_path: Path) -> Path:
    made = chunks("a", ["Cards choose the threads.", "Shuttles fly."], path="looms.pdf")
    for packet, vector in zip(made, ([1.0, 0.1], [0.1, 1.0]), strict=True):
        packet.set("vector", vector)
        packet.set_meta("model", "compass", "vector")
    return publish(tmp_path / "search.db", *made)


class TestEmbedding:
    @pytest.mark.usefixtures("compass")
    def test_a_question_is_embedded_by_who_knows_the_model(self, index: Path) -> None:
        # a word that is in no passage, so that the vector alone decides
        result = run("ask", index, "Why so gloomy?")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            *("[1] Cards choose the threads.", "", "[2] Shuttles fly.", ""),
            "[1] On looms: looms.pdf, page 1, Looms > Part 0",
            "[2] On looms: looms.pdf, page 2, Looms > Part 1",
        ]
        assert result.stderr == ""
        assert run("search", index, "loom", "--words").exit_code == 1
        (first, *_) = map(json.loads, run("search", index, "loom", "--json").stdout.splitlines())
        assert first["ranks"] == {"vector": 1}

    def test_without_one_words_are_left_and_a_note_says_so(self, index: Path) -> None:
        result = run("ask", index, "Which cards?")
        assert "no embedder for model compass is known here" in result.stderr
        assert result.stdout.startswith("[1] Cards choose the threads.\n")
        result = run("ask", index, "umbrella")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "nothing found" in result.stderr

    @pytest.mark.usefixtures("compass")
    @pytest.mark.parametrize(
        ("space", "note"),
        [
            (Space(2, "compass"), ""),
            (Space(3, "compass"), "makes 2 numbers here, and vectors of the index have 3"),
            (Space(2, "broken"), "failed: its file is gone"),
            (Space(2, "unknown"), "no embedder for model unknown"),
            (Space(2), "does not say which model"),
        ],
    )
    def test_whatever_is_wrong_with_it_is_a_note(self, space: Space, note: str) -> None:
        embed = Embedders()
        for _ in range(2):
            vector, told = embed("loom", space)
            assert vector == (None if note else [1.0, 0.0])
            assert note in told


def test_hits_are_shown_with_their_places(index: Path) -> None:
    result = run("search", index, "threads OR shuttles", "--group", "--words")
    assert [line.strip() for line in result.stdout.splitlines()][1:] == [
        "[Shuttles] fly.",
        "looms.pdf, page 2, Looms > Part 1",
        "Cards choose the [threads].",
        "looms.pdf, page 1, Looms > Part 0",
    ]
    assert run("search", index, "threads OR shuttles", "--limit", 1, "--after", 1, "--words").stdout.count("looms.pdf") == 1


def test_filters_and_principals_are_those_of_a_search(tmp_path: Path) -> None:
    path = publish(
        tmp_path / "search.db",
        Packet({"text": "word", "n": 1}, {"id": "a", "acl": ["ada"]}),
        Packet({"text": "word", "n": 2}, {"id": "b", "route": "r"}),
    )
    for command in ("search", "ask"):
        assert run(command, path, "word", "--filter", "n=1").exit_code == 1
        assert "word" in run(command, path, "word", "--filter", "n=1", "--principal", "ada").stdout
        assert run(command, path, "word", "--route", "r").exit_code == 0
        result = run(command, path, "word", "--filter", "n")
        assert result.exit_code == 1
        assert "'n' is no condition" in result.stderr
        for option in ("--filter", "--principal", "--route"):
            assert "half a surrogate pair" in run(command, path, "word", option, "n=\ud800").stderr
        assert "the question holds half a surrogate pair" in run(command, path, "\ud800").stderr
    assert "there is no index at" in run("ask", tmp_path / "absent.db", "word").stderr


def test_what_only_some_commands_need_is_imported_by_those() -> None:
    asked = "import sys, pypes_search.command; print({'urllib3', 'numpy', 'qdrant_client'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "set()\n"


class Model(BaseHTTPRequestHandler):
    """Stands in for a language model; which one to run is the user's choice."""

    def do_POST(self) -> None:
        server: Any = self.server
        server.asked.append(
            (self.path, self.headers["Authorization"], json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        )
        status, body = server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def model() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), Model)
    server.asked = []
    server.answer = (200, json.dumps({"choices": [{"message": {"content": " Cards do [1].\n"}}]}).encode())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class TestComposing:
    def test_a_server_writes_the_answer_from_the_passages(self, index: Path, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        url = f"http://127.0.0.1:{model.server_port}/v1/"
        result = run("ask", index, "What do cards do?", "--words", "--server", url, "--model", "small")
        assert result.stdout == "Cards do [1].\n\n[1] On looms: looms.pdf, page 1, Looms > Part 0\n"
        ((path, key, asked),) = model.asked
        assert (path, key, asked["model"]) == ("/v1/chat/completions", "Bearer k", "small")
        assert "[1] On looms (looms.pdf, page 1, Looms > Part 0)\nCards choose the threads." in asked["messages"][1]["content"]
        as_json = run("ask", index, "cards", "--words", "--server", url, "--model", "small", "--json").stdout
        assert json.loads(as_json)["answer"] == "Cards do [1]."
        assert len(json.loads(as_json)["hits"]) == 1

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            ((401, b"no  key"), "answers 401: no key"),
            ((200, b"[]"), "answers with no text"),
            ((200, b"{"), "answers with no text"),
        ],
    )
    def test_what_goes_wrong_is_told(self, answer: tuple[int, bytes], told: str, index: Path, model: Any) -> None:
        model.answer = answer
        result = run("ask", index, "cards", "--server", f"http://127.0.0.1:{model.server_port}", "--model", "small")
        assert result.exit_code == 1
        assert told in result.stderr

    def test_a_server_that_is_not_there_is_told(self, index: Path, model: Any) -> None:
        result = run("ask", index, "cards", "--server", "http://127.0.0.1:1", "--model", "small")
        assert "cannot be reached" in result.stderr
        assert run("ask", index, "cards", "--server", "http://127.0.0.1:1").exit_code == 2

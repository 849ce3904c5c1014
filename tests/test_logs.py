import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from pypes import logs
from pypes.cli.running.pieces import Piece, portions
from pypes.core.secrets import Secrets
from pypes.observe.hiding import Hiding
from pypes.observe.log_ring import RingReader
from pypes.packet import Packet


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_structlog_and_logging_write_the_same_lines() -> None:
    out = io.StringIO()
    logs.configure("supervisor", json=True, stream=out)
    logs.get("pypes.x", node=1).info("ready", url="http://h")
    logging.getLogger("other").warning("x %d", 1, extra={"k": [2]})
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info",
        "process": "supervisor",
        "logger": "pypes.x",
        "event": "ready",
        "node": 1,
        "url": "http://h",
    }
    assert (second["event"], second["k"], second["level"]) == ("x 1", [2], "warning")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (float("nan"), "nan"),
        ({"a": [float("inf")]}, "{'a': [inf]}"),
        (1 << 70, str(1 << 70)),
        ([1 << 70], str([1 << 70])),
        ("a\udc80", "a\\udc80"),
        (["a\udc80"], "['a\\udc80']"),
        ({"n": 1.5, "t": (1, "x")}, {"n": 1.5, "t": [1, "x"]}),
        (7, 7),
    ],
)
def test_lines_are_json_that_everybody_reads_whatever_is_given(given: object, shown: object) -> None:
    out = io.StringIO()
    logs.configure("p", json=True, stream=out)
    logging.getLogger("pypes.component.X").warning("odd \udc80", extra={"v": given, "k\udc80": 1})
    line = orjson.loads(out.getvalue())
    assert (line["event"], line["v"], line["k\\udc80"]) == ("odd \\udc80", shown, 1)


def test_a_traceback_of_a_component_begins_with_its_own_frames() -> None:
    def fail() -> Piece:
        raise ValueError("mine")

    def input_of_mine() -> Iterator[Piece]:
        yield fail()

    def traceback_in(name: str) -> str:
        out = io.StringIO()
        logs.configure("p", json=True, stream=out)
        with pytest.raises(ValueError, match="mine") as raised:
            list(portions(input_of_mine()))
        # as the scheduler meets it: from a frame of ours on
        error = raised.value.with_traceback(raised.tb.tb_next)
        logging.getLogger(name).error("it failed", exc_info=error)
        return str(json.loads(out.getvalue())["exception"])

    assert "in portions" in traceback_in("pypes.runtime")
    assert "in portions" not in traceback_in("pypes.component.Mine")
    assert "in input_of_mine" in traceback_in("pypes.component.Mine")


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    for is_json in (True, False):
        out = io.StringIO()
        logs.configure("p", json=is_json, stream=out)
        logs.get("x").info("a\nb", path="c\nd", text="e f")
        assert out.getvalue().count("\n") == 1


def test_a_traceback_is_kept() -> None:
    out = io.StringIO()
    logs.configure("p", json=True, stream=out)
    try:
        raise KeyError("gone")
    except KeyError:
        logs.get("x").exception("failed")
    assert "KeyError: 'gone'" in json.loads(out.getvalue())["exception"]


def test_the_level_holds_and_the_format_follows_the_terminal() -> None:
    out = io.StringIO()
    logs.configure("p", json=False, level="WARNING", stream=out)
    logs.get("x").info("quiet")
    assert out.getvalue() == ""
    assert logs.is_json("auto", out)
    assert not logs.is_json("console", out)


def test_structlog_is_loaded_without_what_it_does_not_need() -> None:
    code = "import sys; from pypes import logs; logs.get('x'); assert 'rich' not in sys.modules; import rich"
    subprocess.run([sys.executable, "-c", code], check=True)
    bare = (
        "import sys; from pypes import logs; logs.configure('i', json=True); assert not {'structlog', 'asyncio'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", bare], check=True)


@pytest.mark.parametrize("is_json", [True, False])
def test_no_secret_gets_into_a_line_whoever_logs(is_json: bool) -> None:
    out = io.StringIO()
    secrets = Secrets.of(["${KEY}"], {"KEY": "s3cret-key"})
    logs.configure("p", json=is_json, stream=out, hiding=Hiding(secrets=secrets))
    try:
        raise KeyError("\ns3cret-key")
    except KeyError:
        logs.get("x").exception(
            "failed with s3cret-key", url="http://a:b@c/?k=s3cret-key", all=["s3cret-key", Path("/s3cret-key")]
        )
    logging.getLogger("urllib3").warning("Retrying %s", "/?k=s3cret-key", extra={"s": Path("/s3cret-key")})
    # learned later, it counts at once
    secrets.learn("${OTHER}", {"OTHER": "learned later"})
    logging.getLogger("x").warning("what was learned later")
    assert "s3cret-key" not in out.getvalue()
    assert "a:b" not in out.getvalue()
    assert "learned later" not in out.getvalue()
    assert out.getvalue().count("${KEY}") >= 6


@pytest.mark.parametrize("is_json", [True, False])
def test_no_value_with_a_hidden_name_gets_into_a_line(is_json: bool) -> None:
    out = io.StringIO()
    logs.configure("p", json=is_json, stream=out, hiding=Hiding(["password", "*_token", "graph"]))
    packet = Packet({"password": "geheim", "user": {"api_token": "geheim", "name": "ada"}}, {"a_token": "geheim"})
    log = logging.getLogger("pypes.component.X")
    log.warning("took %s, and %r", packet, packet.get_attributes(), extra={"packet": packet, "api_token": "geheim", "graph": "g"})
    log.warning("user %(name)s has %(password)s", {"name": "ada", "password": "geheim"})
    log.warning(packet)
    log.warning("odd", extra={"found": {(1, 2): 3, "password": "geheim"}, "deep": [({"password": "geheim"},)]})
    assert "geheim" not in out.getvalue()
    assert out.getvalue().count("(hidden)") == 13
    # where a line belongs is never hidden, since it is looked for by that
    assert ('"graph": "g"' if is_json else "graph=g") in out.getvalue()


class Mute:
    """Has no text."""

    def __repr__(self) -> str:
        raise LookupError("no text")


@pytest.mark.parametrize("is_json", [True, False])
def test_a_line_that_cannot_be_formatted_is_one_all_the_same(is_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    logs.configure("p", json=is_json, stream=out, hiding=Hiding(secrets=Secrets.of(["${KEY}"], {"KEY": "s3cret-key"})))
    itself: dict[str, object] = {"key": "s3cret-key"}
    itself["itself"] = itself
    logging.getLogger("x").warning("a %d s3cret-key", "s3cret-key", extra={"mute": Mute(), "itself": itself, "pair": {(1, 2): 3}})
    logging.getLogger("x").warning("b", exc_info=(1,))  # type: ignore[arg-type]
    first, second, *trace = out.getvalue().splitlines()
    for said in (
        "a %d ${KEY} (cannot be formatted: TypeError: %d format: a real number is required, not str)",
        "<Mute, and LookupError in its text>",
        "<2 values>",
        "{(1, 2): 3}",
    ):
        assert said in first
    assert "no traceback: IndexError" in (second if is_json else trace[0])
    assert capsys.readouterr().err == ""


def test_a_sentence_that_cannot_be_formatted_is_one_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers[:] = []
    logs.plain(Hiding())
    logging.getLogger("x").warning("a %d", "x")
    assert capsys.readouterr().err == "a %d (cannot be formatted: TypeError: %d format: a real number is required, not str)\n"


def test_a_thread_that_fails_is_logged_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    out = io.StringIO()
    logs.configure("p", json=True, stream=out, hiding=Hiding(secrets=Secrets.of(["${KEY}"], {"KEY": "s3cret-key"})))
    logs.catch_uncaught()

    def fail() -> None:
        raise ValueError("s3cret-key")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    line = json.loads(out.getvalue())
    assert (line["event"], line["thread_name"]) == ("a thread failed", "worker")
    assert "ValueError: ${KEY}" in line["exception"]


def test_lines_that_are_alike_are_folded_on_the_stream_and_in_the_ring(tmp_path: Path) -> None:
    out = io.StringIO()
    now = 0.0
    secrets = Secrets.of(["${KEY}"], {"KEY": "s3cret-key"})
    handler = logs.configure("p", json=True, stream=out, hiding=Hiding(secrets=secrets), clock=lambda: now)
    logs.keep(tmp_path, 1 << 16)
    [path] = tmp_path.iterdir()
    assert path.name == f"p.{os.getpid()}.log"
    reader = RingReader(path)
    assert handler.flush_due() is None
    for number in range(1000):
        logging.getLogger("x").warning(
            "documents failed", extra={"graph": "g", "receipt": f"r{number}", "error": "E: s3cret-key"}
        )
    assert handler.flush_due() == 1.0
    assert len(out.getvalue().splitlines()) == 1
    now = 1.0
    assert handler.flush_due() is None
    lines = out.getvalue().splitlines()
    assert [json.loads(line).get("count") for line in lines] == [None, 999]
    logging.getLogger("x").warning("documents failed", extra={"graph": "g", "receipt": "last"})
    # an earlier configuration tells of what it has counted before it goes
    logs.configure("p", json=False, stream=out, hiding=Hiding(secrets=secrets))
    logging.getLogger("x").warning("for people in the stream, as JSON in the ring")
    kept = [json.loads(line) for line in reader.read()]
    assert [line["event"] for line in kept] == ["documents failed"] * 3 + ["for people in the stream, as JSON in the ring"]
    assert kept[2]["receipt"] == "last"
    assert "s3cret-key" not in json.dumps(kept)
    reader.close()


def test_a_line_that_is_too_long_for_the_ring_is_shortened(tmp_path: Path) -> None:
    logs.configure("p", json=True, stream=io.StringIO())
    logs.keep(tmp_path, 1 << 13)
    [path] = tmp_path.iterdir()
    try:
        raise ValueError("y" * 5000 + "the end")
    except ValueError:
        logging.getLogger("x").exception("it failed", extra={"graph": "g"})
    logging.getLogger("x").warning("z" * 5000, extra={"graph": "g", "receipt": "r", "more": ["z"] * 5000})
    reader = RingReader(path)
    traced, short = map(json.loads, reader.read())
    assert traced["exception"].startswith("Traceback")
    assert traced["exception"].endswith("the end")
    assert (short["graph"], short["receipt"], short["shortened"]) == ("g", "r", True)
    assert short["event"].startswith("zzz")
    reader.close()


def test_without_room_for_a_ring_the_log_says_so_and_goes_on(tmp_path: Path) -> None:
    out = io.StringIO()
    logs.configure("p", json=True, stream=out)
    logs.keep(tmp_path / "missing", 1 << 16)
    logging.getLogger("x").info("on it goes")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["level"]) == ("the last lines of this process are not kept", "warning")
    assert "No such file" in first["reason"]
    assert second["event"] == "on it goes"


def test_a_ring_is_written_though_the_stream_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    logs.configure("p", json=True, stream=out)
    logs.keep(tmp_path, 1 << 16)
    out.close()
    logging.getLogger("x").warning("said")
    logging.getLogger("x").warning("said")
    logging.getLogger().handlers[0].close()
    reader = RingReader(next(tmp_path.iterdir()))
    assert [json.loads(line).get("count") for line in reader.read()] == [None, 1]
    reader.close()
    assert "I/O operation on closed file" in capsys.readouterr().err


def test_what_a_forked_process_logs_is_its_own(tmp_path: Path) -> None:
    """It neither tells of what its parent has counted, nor writes into the ring of that."""
    code = """
import logging, os, sys
from pathlib import Path
from pypes import logs
logs.configure("p", json=True)
logs.keep(Path(sys.argv[1]), 1 << 16)
log = logging.getLogger("x")
log.warning("said")
log.warning("said")
if os.fork() == 0:
    log.warning("by the child")
    log.warning("by the child")
    sys.exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    said = [(line["event"], line.get("count")) for line in map(json.loads, done.stderr.splitlines())]
    assert sorted(said, key=str) == [("by the child", 1), ("by the child", None), ("said", 1), ("said", None)]
    reader = RingReader(next(tmp_path.iterdir()))
    assert [json.loads(line)["event"] for line in reader.read()] == ["said", "said"]
    reader.close()


def test_a_value_under_a_key_of_the_line_itself_is_kept_beside_it() -> None:
    out = io.StringIO()
    logs.configure("p", json=True, stream=out)
    logging.getLogger("x").warning("e", extra={"level": 7, "count": 3, "event": "mine"})
    line = json.loads(out.getvalue())
    assert (line["level"], line["event"]) == ("warning", "e")
    assert (line["level_"], line["count_"], line["event_"]) == (7, 3, "mine")

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes import logs
from pypes.cli.running.pieces import Piece, portions
from pypes.core.secrets import Secrets


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
    logs.configure("p", json=is_json, stream=out, secrets=secrets)
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


class Mute:
    """Has no text."""

    def __repr__(self) -> str:
        raise LookupError("no text")


@pytest.mark.parametrize("is_json", [True, False])
def test_a_line_that_cannot_be_formatted_is_one_all_the_same(is_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    logs.configure("p", json=is_json, stream=out, secrets=Secrets.of(["${KEY}"], {"KEY": "s3cret-key"}))
    itself: dict[str, object] = {"key": "s3cret-key"}
    itself["itself"] = itself
    logging.getLogger("x").warning("a %d s3cret-key", "s3cret-key", extra={"mute": Mute(), "itself": itself, "pair": {(1, 2): 3}})
    logging.getLogger("x").warning("b", exc_info=(1,))  # type: ignore[arg-type]
    first, second, *trace = out.getvalue().splitlines()
    for said in (
        "a %d ${KEY} (cannot be formatted: TypeError: %d format: a real number is required, not str)",
        "<Mute, and LookupError in its text>",
        "{'key': '${KEY}', 'itself': {...}}",
        "{(1, 2): 3}",
    ):
        assert said in first
    assert "no traceback: IndexError" in (second if is_json else trace[0])
    assert capsys.readouterr().err == ""


def test_a_sentence_that_cannot_be_formatted_is_one_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers[:] = []
    logs.plain(Secrets())
    logging.getLogger("x").warning("a %d", "x")
    assert capsys.readouterr().err == "a %d (cannot be formatted: TypeError: %d format: a real number is required, not str)\n"


def test_a_thread_that_fails_is_logged_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    out = io.StringIO()
    logs.configure("p", json=True, stream=out, secrets=Secrets.of(["${KEY}"], {"KEY": "s3cret-key"}))
    logs.catch_uncaught()

    def fail() -> None:
        raise ValueError("s3cret-key")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    line = json.loads(out.getvalue())
    assert (line["event"], line["thread_name"]) == ("a thread failed", "worker")
    assert "ValueError: ${KEY}" in line["exception"]

import subprocess
import sys
from pathlib import Path

import pytest


def serve(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "pypes", "serve", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--workers", "none"], "--workers: must be a number"),
        (["--bind", "0.0.0.0:0"], "--bind: 0.0.0.0 can be reached from other machines"),
        (["--config", "none.ini"], "none.ini: cannot be read"),
        (["--token-file", "none"], "--token-file: cannot be read"),
        (["--bind", "192.0.2.1:0", "--insecure"], "cannot listen on 192.0.2.1:0"),
        (["--colour"], "No such option"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_not_a_traceback(tmp_path: Path, arguments: list[str], told: str) -> None:
    ended = serve(tmp_path, *arguments)
    assert ended.returncode != 0
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_names_every_option() -> None:
    ended = serve(Path.cwd(), "--help")
    assert ended.returncode == 0
    for option in ("bind", "workers", "instances", "data", "graphs", "default", "config", "token-file", "load", "durability"):
        assert f"--{option}" in ended.stdout

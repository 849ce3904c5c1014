"""Standard input, fed as one body."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pypes.cli.feed import feed
from tests.cli.feeding.server import Server


def invoke(*arguments: str, content: bytes = b"<p>x") -> Result:
    return CliRunner().invoke(feed, arguments, input=content)


@pytest.mark.parametrize(
    ("options", "media_type", "id", "name"),
    [
        ([], "text/plain", None, None),
        (["--type", "text/html; charset=utf-8"], "text/html; charset=utf-8", None, None),
        (["--name", "sub/a.html"], "text/html", "sub/a.html", "attachment; filename*=UTF-8''sub/a.html"),
        (["--name", "a.html", "--no-id"], "text/html", None, "attachment; filename*=UTF-8''a.html"),
        (["--name", "a.html", "--id", "x/{name}"], "text/html", "x/a.html", "attachment; filename*=UTF-8''a.html"),
        (["--id", "notes/1", "--gzip"], "text/plain", "notes/1", None),
    ],
)
def test_it_goes_out_as_one_body(server: Server, options: list[str], media_type: str, id: str | None, name: str | None) -> None:
    result = invoke(server.url, "-", *options)
    assert result.exit_code == 0, result.output
    ((headers, body),) = server.accepted
    assert body == b"<p>x"
    assert headers["Content-Type"] == media_type
    assert headers.get("Pypes-Id") == id
    assert headers.get("Content-Disposition") == name


def test_it_may_be_large_and_be_sent_again(server: Server) -> None:
    server.refuse[b"a,b"] = [(503, {"Retry-After": "0"})]
    result = invoke(server.url, "-", "--type", "text/csv", content=b"a,b\n" * 2_000_000)
    assert result.exit_code == 0, result.output
    assert [len(body) for _, body in server.accepted] == [8_000_000]


def test_what_goes_wrong_is_told_of_standard_input(server: Server, tmp_path: Path) -> None:
    result = invoke(server.url, "-", content=b"")
    assert (result.exit_code, server.accepted) == (1, [])
    assert "passed over: -: it is empty" in result.output
    server.refuse[b"x"] = [(415, {})]
    result = invoke(server.url, "-")
    assert result.exit_code == 1
    assert "not accepted: standard input: 415 test.refused" in result.output
    result = invoke(server.url, "-", "--wait", content=b"poison")
    assert "failed: standard input: test.poison" in result.output
    for wrong in (
        ["-", str(tmp_path)],
        [str(tmp_path), "--name", "a"],
        ["-", "--id", "{name}"],
        ["-", "--id", "{"],
        ["-", "--type", "a/b\n"],
    ):
        assert invoke(server.url, *wrong).exit_code == 2

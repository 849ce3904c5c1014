"""{{cookiecutter.component}}: what it fetches, and that it goes on where it was."""

from pathlib import Path
from typing import Any, ClassVar

from pypes.testing import ComponentSuite

from {{cookiecutter.package}}.{{cookiecutter.module}} import {{cookiecutter.component}}


class TestContract(ComponentSuite):
    """What every component must show: ports described, parameters with help, odd packets survived."""

    component = {{cookiecutter.component}}
    params: ClassVar[dict[str, Any]] = {"path": "lines.txt"}


def fetched(path: Path, cursor: Any) -> tuple[list[str], Any]:
    source = {{cookiecutter.component}}()
    source.configure({"path": str(path)})
    texts = []
    for packets, at in source.fetch(cursor):
        texts += [packet.get("text") for packet in packets]
        cursor = at
    return texts, cursor


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\nhal")
    texts, cursor = fetched(path, None)
    assert texts == ["one", "two"]
    path.write_text("one\ntwo\nhalf\n")
    assert fetched(path, cursor)[0] == ["half"]


def test_there_is_nothing_new(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("one\n")
    _, cursor = fetched(path, None)
    assert fetched(path, cursor) == ([], cursor)

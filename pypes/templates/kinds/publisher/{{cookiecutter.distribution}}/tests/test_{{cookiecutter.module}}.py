"""{{cookiecutter.component}}, run by the real scheduler."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from pypes.packet import Packet
from pypes.testing import ComponentSuite, PublisherSuite, run_component

from {{cookiecutter.package}}.{{cookiecutter.module}} import {{cookiecutter.component}}


def parts(path: Path) -> list[tuple[str, str | None, str, str]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT route, id, part, value FROM parts").fetchall()


class TestContract(ComponentSuite):
    """What every component must show: ports described, parameters with help, odd packets survived."""

    component = {{cookiecutter.component}}
    params: ClassVar[dict[str, Any]] = {"path": ":memory:"}


class TestWholeDocuments(PublisherSuite):
    """What every publisher of whole documents must show: versions replaced, shrunk and deleted, failures and crashes survived."""

    component = {{cookiecutter.component}}
    params: ClassVar[dict[str, Any]] = {"path": "titles.db", "field": "text"}
    #: Readers may see a new version beside the old one, until it is whole.
    shows_both = True

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        return parts(folder / "titles.db")


def test_a_document_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "titles"
    for title in ("one", "two"):
        run_component({{cookiecutter.component}}, [Packet({"id": 1, "title": title})], path=str(path))
    assert parts(path) == [("", "1", "", "two")]


def test_what_cannot_be_written_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "titles"
    packets = [Packet({"id": n, "title": title}) for n, title in enumerate(["one", {"not": "one value"}, "two"])]
    result = run_component({{cookiecutter.component}}, packets, path=str(path))
    assert [value for *_, value in parts(path)] == ["one", "two"]
    assert [failure.code for failure in result.dead_letters] == ["component.raised"]

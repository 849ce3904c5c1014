"""{{cookiecutter.component}}, run by the real scheduler."""

import os
from pathlib import Path
from typing import Any, ClassVar

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component

from {{cookiecutter.package}}.{{cookiecutter.module}} import {{cookiecutter.component}}


class TestContract(ComponentSuite):
    """What every component must show: ports described, parameters with help, odd packets survived."""

    component = {{cookiecutter.component}}
    params: ClassVar[dict[str, Any]] = {"path": os.devnull}


def test_a_line_for_each_document(tmp_path: Path) -> None:
    path = tmp_path / "titles"
    run_component({{cookiecutter.component}}, [Packet({"title": "one"}), Packet({"title": "two"})], path=str(path))
    assert path.read_text() == '"one"\n"two"\n'


def test_what_cannot_be_written_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "titles"
    packets = [Packet({"title": "one"}), Packet({"title": {"not": "one value"}}), Packet({"title": "two"})]
    result = run_component({{cookiecutter.component}}, packets, path=str(path))
    assert path.read_text() == '"one"\n"two"\n'
    assert [failure.code for failure in result.dead_letters] == ["component.raised"]

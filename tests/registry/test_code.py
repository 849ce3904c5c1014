"""The code digest: another one when the code that components come from is another one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from pypes.graph.spec import ComponentSpec
from pypes.registry import Code, codes_of, differences, digest_of


def spec(name: str, distribution: str = "", module: str = "") -> ComponentSpec:
    return ComponentSpec(name, distribution=distribution, module=module)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a distribution ``loud`` 1.0, as a wheel is unpacked."""
    info = tmp_path / "loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "RECORD").write_text("loud/__init__.py,sha256=abc,3\n")
    (tmp_path / "loud").mkdir()
    (tmp_path / "loud/__init__.py").write_text("x = 1")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


LOUD = [spec("Shout", "loud", "loud.shout"), spec("Cry", "loud", "loud.cry")]


def test_a_distribution_is_known_by_its_record(installed: Path) -> None:
    (first,) = codes_of(LOUD)
    assert (first.name, first.version, len(first.digest)) == ("loud", "1.0", 16)
    os.utime(installed / "loud/__init__.py", (1, 1))
    assert codes_of(LOUD) == (first,)
    record = installed / "loud-1.0.dist-info/RECORD"
    record.write_text("loud/__init__.py,sha256=def,3\n")
    (second,) = codes_of(LOUD)
    assert second.digest != first.digest
    assert differences([first], [second]) == [f"loud 1.0 has other content now (digest {first.digest}, now {second.digest})"]


def test_one_installed_in_place_is_known_by_times_and_sizes_of_its_sources(installed: Path) -> None:
    (installed / "loud-1.0.dist-info/direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    (first,) = codes_of(LOUD)
    assert first.digest
    shutil.copytree(installed / "loud", installed / "loud/__pycache__")  # made by running it
    (installed / "loud/__pycache__/shout.pyc").write_text("")
    assert codes_of(LOUD) == (first,)
    os.utime(installed / "loud/__init__.py", (1, 1))
    assert codes_of(LOUD) != (first,)


def test_a_load_file_is_known_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "shout.py"
    file.write_text("a")
    wanted = [spec("Shout", "shout.py", str(file)), spec("Cry", "shout.py", str(file))]
    (first,) = codes_of(wanted)
    assert (first.name, first.version) == ("shout.py", "")
    file.touch()
    assert codes_of(wanted) == (first,)
    file.write_text("b")
    (second,) = codes_of(wanted)
    assert second.digest != first.digest
    file.unlink()
    assert differences([second], codes_of(wanted)) == ["shout.py is not there any more"]


def test_all_of_them_make_one_digest_whatever_their_order(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("a")
    own = spec("Own", "own.py", str(file))
    one, other = codes_of([*LOUD, own]), codes_of([own, *LOUD])
    assert [code.name for code in one] == ["loud", "own.py"]
    assert digest_of(one) == digest_of(other) != digest_of(codes_of(LOUD))


def test_what_is_looked_at_once_need_not_be_looked_at_again(installed: Path) -> None:
    known: dict[tuple[str, str], Code] = {}
    first = codes_of(LOUD, known)
    shutil.rmtree(installed / "loud-1.0.dist-info")
    assert codes_of(LOUD, known) == first
    assert codes_of(LOUD) == (Code("loud", "", ""),)


def test_differences_are_said_in_words() -> None:
    then = [Code("a", "1", "x"), Code("b", "1", "x"), Code("c.py", "", "x"), Code("d", "1", "x")]
    now = [Code("a", "2", "y"), Code("b", "1", "x"), Code("d", "", ""), Code("e", "3", "z")]
    gone = ["c.py is not there any more", "d 1 is not there any more"]
    assert differences(then, now) == ["a 1 is 2 now", *gone, "e 3 was not used"]
    assert differences(then, then) == []


def test_the_components_of_a_real_distribution() -> None:
    (code,) = codes_of([spec("JSON", "pypes-basic", "pypes_basic.json_adapter")])
    assert (code.name, bool(code.version), len(code.digest)) == ("pypes-basic", True, 16)

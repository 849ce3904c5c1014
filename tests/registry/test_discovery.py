"""Discovery of real distributions: good ones, and each way in which one can be bad without harming anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pypes.errors import InvalidComponent
from pypes.registry import Catalogue, component_files, discover, load
from pypes.registry.discovery import CACHE_FORMAT
from tests.registry.distribution import GOOD, lay_out

pytestmark = pytest.mark.usefixtures("site")

LIVE = """
    from pypes.component import Transformer
    class {name}(Transformer):
        "A component."
"""


def broken_of(catalogue: Catalogue, distribution: str) -> list[str]:
    return [b.error for b in catalogue.broken if b.distribution == distribution]


def test_a_good_distribution_is_described_without_being_imported(site: Path) -> None:
    lay_out(site, "test-good", {"Lines": "Lines", "Keep": "Keep"}, GOOD)
    catalogue = discover()
    assert "test_good" not in sys.modules
    spec = catalogue["Lines"]
    assert spec.error is None
    assert (spec.kind, spec.distribution, spec.version) == ("ADAPTER", "test-good", "1.0")
    assert spec.doc == "Splits text into lines."
    assert spec.inputs == {"in": "Default input port"}
    assert spec.outputs == {"out": "One packet per line", "rest": "What is left"}
    assert spec.accepts == ("text/plain",)
    assert spec.schema["properties"]["limit"] == {"type": "integer", "minimum": 1, "default": 10, "description": "Most lines."}
    assert spec.error is None
    assert "Lines" in catalogue.by_kind("Adapters")
    assert "Keep" in catalogue.by_kind("Publishers")
    assert not broken_of(catalogue, "test-good")


def test_a_described_component_loads(site: Path) -> None:
    lay_out(site, "test-loads", {"Lines": "Lines"}, GOOD)
    made = load(discover()["Lines"])()
    made.configure({"limit": 3})
    assert made.params.limit == 3


def test_an_import_error_is_told_with_its_place(site: Path) -> None:
    lay_out(site, "test-absent", {"Absent": "Absent"}, "import no_such_library\n")
    catalogue = discover()
    error = catalogue["Absent"].error
    assert error is not None
    assert "No module named 'no_such_library'" in error
    assert "test_absent.py, line 1" in error
    assert len(broken_of(catalogue, "test-absent")) == 1
    with pytest.raises(InvalidComponent, match="no_such_library"):
        load(catalogue["Absent"])


def test_a_library_that_is_not_there_makes_a_placeholder(site: Path) -> None:
    lay_out(site, "test-absent", {"Absent": "Absent"}, "import no_such_library\n")
    with (site / "test_absent-1.0.dist-info" / "METADATA").open("a") as file:
        file.write("Requires-Dist: no-such-library; extra == 'more'\n")
    spec = discover()["Absent"]
    assert (spec.missing, spec.needs) == (("no_such_library",), {"no_such_library": "pip install 'test-absent[more]'"})
    assert spec.error_code == "component.missing_library"
    assert str(spec.error).startswith("it needs no_such_library, not installed here; run pip install 'test-absent[more]': Module")


def test_one_bad_component_leaves_its_neighbours_usable(site: Path) -> None:
    source = LIVE.format(name="Fine") + (
        "    class Bad(Transformer):\n        def __init__(self):\n            super().__init__()\n"
        "            self.set_parameter('key', '')\n            raise OSError('no licence')\n"
    )
    lay_out(site, "test-half", {"Fine": "Fine", "Bad": "Bad", "Gone": "Gone"}, source)
    catalogue = discover()
    assert catalogue["Fine"].error is None
    assert "no licence" in str(catalogue["Bad"].error)
    assert "Gone" in str(catalogue["Gone"].error)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os; os.abort()", "killed by SIGABRT while importing Bad"),
        ("import os; os._exit(3)", "exited with status 3 while importing Bad"),
        ("import sys; sys.exit('wrong machine')", "wrong machine"),
        ("import os, sys; os.write(2, b'first' + b'x' * 9999999 + b'last words'); os.abort()", "last words"),
        ("import threading; threading.Event().wait()", "no answer within 3 s"),
        ("import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass", "no answer within 3 s"),
        ("data = bytearray(1 << 33)", "MemoryError"),
        ("data = []\nwhile True: data.append(bytearray(1 << 20))", "MemoryError"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("class Bad: pass", "is no component"),
        ("from pypes.component import Component\nclass Bad(Component): pass", "__metatype__"),
        (
            "from pypes.component import Filter\nclass Bad(Filter):\n"
            "    def __init__(self):\n        super().__init__(); self.set_parameter('x', object())",
            "no JSON value",
        ),
    ],
)
def test_what_is_broken_is_listed_and_harms_nothing(site: Path, source: str, said: str) -> None:
    lay_out(site, "test-bad", {"Bad": "Bad"}, "")
    (site / "test_bad.py").write_text(source)
    lay_out(site, "test-fine", {"Fine": "Fine"}, LIVE.format(name="Fine"))
    # what ends by itself may take as long as a busy machine makes it
    catalogue = discover(timeout_s=3 if "no answer" in said else 60, max_memory_bytes=1 << 30)
    assert said in str(catalogue["Bad"].error)
    assert said in broken_of(catalogue, "test-bad")[0]
    assert catalogue["Fine"].error is None
    assert "Bad" not in [name for kind in ("Filters", "Transformers", "Adapters") for name in catalogue.by_kind(kind)]


def test_a_crash_spoils_the_whole_distribution(site: Path) -> None:
    lay_out(site, "test-crash", {"A": "A", "B": "B"}, "")
    (site / "test_crash.py").write_text("import os; os.abort()")
    catalogue = discover()
    assert "SIGABRT" in str(catalogue["A"].error)
    assert "SIGABRT" in str(catalogue["B"].error)


def test_what_an_import_starts_is_ended_with_it(site: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    forking = f"""
    import os, time
    pid = os.fork()
    if not pid:
        time.sleep(1000)
    open({str(pid_file)!r}, "w").write(str(pid))
    """
    source = LIVE.format(name="Starts") + forking
    lay_out(site, "test-forks", {"Starts": "Starts"}, source)
    started = time.monotonic()
    catalogue = discover(timeout_s=60)
    assert time.monotonic() - started < 30, "waited for a forked process that holds the pipe"
    assert catalogue["Starts"].error is None
    deadline = time.monotonic() + 10
    while _is_running(int(pid_file.read_text())):
        assert time.monotonic() < deadline, "the forked process is still there"


def _is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_name_claimed_twice_belongs_to_nobody(site: Path) -> None:
    lay_out(site, "test-one", {"Twice": "Twice", "One": "Twice"}, LIVE.format(name="Twice"))
    lay_out(site, "test-two", {"Twice": "Twice"}, LIVE.format(name="Twice"))
    catalogue = discover()
    error = catalogue["Twice"].error
    assert error is not None
    assert "test-one 1.0 and test-two 1.0" in error
    assert error in broken_of(catalogue, "test-one")
    assert error in broken_of(catalogue, "test-two")
    assert catalogue["One"].error is None


def test_what_is_loaded_by_hand_takes_the_place_of_what_is_installed(site: Path, tmp_path: Path) -> None:
    lay_out(site, "test-one", {"Twice": "Twice", "Once": "Twice"}, LIVE.format(name="Twice"))
    lay_out(site, "test-two", {"Twice": "Twice"}, LIVE.format(name="Twice"))
    files = [tmp_path / "mine.py", tmp_path / "other.py"]
    for file in files:
        file.write_text(textwrap.dedent(LIVE.format(name="Twice")))
    for _ in range(2):  # described, and then remembered
        catalogue = discover(files[:1], tmp_path / "cache")
        assert (catalogue["Twice"].distribution, catalogue["Twice"].error) == ("mine.py", None)
        assert catalogue.overridden == (
            "component 'Twice' is that of mine.py, not that of test-one 1.0",
            "component 'Twice' is that of mine.py, not that of test-two 1.0",
        )
        assert not broken_of(catalogue, "test-one")
    # nobody can tell which of two files is meant
    assert "mine.py and other.py" in str(discover(files)["Twice"].error)


def test_the_state_of_components_changes_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "installed")])
    (tmp_path / "installed").mkdir()
    states = [component_files([tmp_path / "mine.py"])]
    (tmp_path / "mine.py").write_text("")
    states.append(component_files([tmp_path / "mine.py"]))
    (tmp_path / "installed" / "new.dist-info").mkdir()
    states.append(component_files([tmp_path / "mine.py"]))
    assert len(set(states)) == 3
    assert component_files([tmp_path / "mine.py"]) == states[2]


def test_an_entry_point_without_a_class_is_named(site: Path) -> None:
    lay_out(site, "test-noclass", {"X": "X"}, "")
    (site / "test_noclass-1.0.dist-info" / "entry_points.txt").write_text("[pypes.components]\nX = test_noclass\n")
    assert "names no class" in broken_of(discover(), "test-noclass")[0]


class TestCache:
    @pytest.fixture(autouse=True)
    def _folder(self, site: Path, tmp_path: Path) -> None:
        self.cache = tmp_path / "cache"
        self.source = lay_out(site, "test-cached", {"Keep": "Keep"}, GOOD)

    def discover(self, monkeypatch: pytest.MonkeyPatch, may_start: bool) -> Catalogue:
        with monkeypatch.context() as patch:
            if not may_start:
                patch.setattr(subprocess, "Popen", None)
            return discover(cache_dir=self.cache)

    def test_the_second_time_no_process_is_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = self.discover(monkeypatch, may_start=True)
        assert dict(self.discover(monkeypatch, may_start=False)) == dict(first)

    def test_names_of_folders_and_folders_that_are_not_there_do_not_count(
        self, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = self.discover(monkeypatch, may_start=True)
        (tmp_path / "other").symlink_to(site)
        monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path / "other"), *sys.path[1:]])
        assert dict(self.discover(monkeypatch, may_start=False)) == dict(first)

    def test_the_working_directory_counts_if_imports_look_there(
        self, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is the empty name in ``sys.path``."""
        monkeypatch.setattr(sys, "path", ["", *sys.path])
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "test_cached.py").write_text(self.source.read_text().replace("Keeps.", f"Keeps {name}."))
            monkeypatch.chdir(tmp_path / name)
            assert self.discover(monkeypatch, may_start=True)["Keep"].doc == f"Keeps {name}."

    def test_a_changed_module_is_described_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.discover(monkeypatch, may_start=True)
        before = self.source.stat()
        self.source.write_text(self.source.read_text().replace('"""Keeps."""', '"""Holds."""'))
        # two seconds, because Python's own bytecode cache tells whole seconds apart
        os.utime(self.source, ns=(before.st_atime_ns, before.st_mtime_ns + 2_000_000_000))
        assert self.discover(monkeypatch, may_start=True)["Keep"].doc == "Holds."

    def test_another_format_is_described_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.discover(monkeypatch, may_start=True)
        (path,) = [path for path in self.cache.iterdir() if path.name.startswith("test-cached")]
        cached = json.loads(path.read_bytes())
        cached["specs"][0]["doc"] = "Means something else."
        path.write_text(json.dumps(cached))
        assert self.discover(monkeypatch, may_start=False)["Keep"].doc == "Means something else."
        path.write_text(json.dumps({**cached, "format": CACHE_FORMAT - 1}))
        assert self.discover(monkeypatch, may_start=True)["Keep"].doc == "Keeps."
        del cached["format"]
        path.write_text(json.dumps(cached))
        assert self.discover(monkeypatch, may_start=True)["Keep"].doc == "Keeps."

    def test_libraries_come_and_go(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        needy = LIVE.format(name="Keep") + "        needs = {'test_library': 'pip install test-library'}\n"
        self.source.write_text(textwrap.dedent(needy))
        for _ in range(2):
            spec = self.discover(monkeypatch, may_start=True)["Keep"]
            assert (spec.kind, spec.missing) == ("TRANSFORMER", ("test_library",))
            assert "run pip install test-library" in str(spec.error)
            # remembered, and nothing that a node would warn of
            catalogue = self.discover(monkeypatch, may_start=False)
            assert catalogue["Keep"] == spec
            assert "Keep" in catalogue.by_kind("Transformers")
            assert not broken_of(catalogue, "test-cached")
            with pytest.raises(InvalidComponent, match="test_library") as caught:
                load(spec)
            assert caught.value.code == "component.missing_library"
            library = site / "test_library.py"
            library.write_text("raise RuntimeError('imported')")
            found = self.discover(monkeypatch, may_start=True)["Keep"]
            assert (found.error, found.missing) == (None, ())
            assert self.discover(monkeypatch, may_start=False)["Keep"] == found
            library.unlink()
        assert "test_library" not in sys.modules

    def test_a_new_version_is_described_again(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.discover(monkeypatch, may_start=True)
        info = site / "test_cached-1.0.dist-info"
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: test-cached\nVersion: 2.0\n")
        assert self.discover(monkeypatch, may_start=True)["Keep"].version == "2.0"

    def test_a_failure_is_not_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        good = self.source.read_text()
        self.source.write_text("import no_such_library\n")
        assert self.discover(monkeypatch, may_start=True)["Keep"].error
        self.source.write_text(good)
        assert self.discover(monkeypatch, may_start=True)["Keep"].error is None

    @pytest.mark.parametrize("damage", [b"", b"{}", b"\x00", b'{"specs": [{"nope": 1}], "files": []}'])
    def test_a_damaged_cache_is_done_without(self, damage: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        first = self.discover(monkeypatch, may_start=True)
        for path in self.cache.iterdir():
            path.write_bytes(damage)
        assert dict(self.discover(monkeypatch, may_start=True)) == dict(first)

    def test_an_unusable_cache_folder_is_done_without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache.write_text("a file")
        assert self.discover(monkeypatch, may_start=True)["Keep"].error is None


class TestLoadFiles:
    SOURCE = '''
from pypes.component import Extractor, Transformer
from pypes.component.functions import component

@component
def shout(packet, field: str = "title"):
    """Upper-case a field."""
    packet.set(field, packet.get(field, "").upper())
    return packet

@component(kind=Extractor, name="Counted")
def counted(packet):
    return packet

class Plain(Transformer):
    "Plain."

class _Hidden(Transformer):
    "Not for graphs."

alias = Plain
'''

    def test_everything_that_it_defines_is_a_component(self, tmp_path: Path) -> None:
        path = tmp_path / "quick.py"
        path.write_text(self.SOURCE)
        catalogue = discover(load_files=[path, path])
        mine = {name: spec for name, spec in catalogue.items() if spec.distribution == "quick.py"}
        assert sorted(mine) == ["Counted", "Plain", "shout"]
        assert mine["Counted"].kind == "EXTRACTOR"
        assert mine["shout"].schema["properties"]["field"]["default"] == "title"
        assert load(mine["shout"]) is load(mine["shout"])
        assert load(mine["Counted"]).__doc__ is None

    @pytest.mark.parametrize(("source", "said"), [("1 +", "SyntaxError"), ("x = 1", "defines no component"), ("1/0", "line 1")])
    def test_a_bad_one_is_listed(self, tmp_path: Path, source: str, said: str) -> None:
        path = tmp_path / "bad.py"
        path.write_text(source)
        assert said in broken_of(discover(load_files=[path]), "bad.py")[0]

    def test_a_missing_one_is_listed(self, tmp_path: Path) -> None:
        assert "No such file" in broken_of(discover(load_files=[tmp_path / "none.py"]), "none.py")[0]

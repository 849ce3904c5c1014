"""Which libraries are missing is found out without importing any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pypes.graph.spec import ComponentSpec
from pypes.registry.missing import checked, is_installed, missing_of, needs_of
from tests.registry.distribution import lay_out


@pytest.fixture
def library(site: Path) -> str:
    """A library that must not be imported."""
    package = site / "test_library"
    (package / "inner").mkdir(parents=True)
    for folder in (package, package / "inner"):
        (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    return "test_library"


def test_what_is_installed_is_found_without_being_imported(library: str) -> None:
    assert is_installed(library)
    assert is_installed(f"{library}.inner")
    assert not is_installed(f"{library}.other")
    assert not is_installed(f"{library}.inner.more")
    assert not is_installed("no_such_library.inner")
    assert missing_of(["json", "no_such_library", library, "os.path.more"]) == ("no_such_library", "os.path.more")
    assert library not in sys.modules


def test_what_is_imported_and_does_not_say_from_where_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "test_bare", type(sys)("test_bare"))
    assert is_installed("test_bare")


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"json": "pip install json"}, None),
        ({"no_one": "pip install one"}, "it needs no_one, not installed here; run pip install one"),
        (
            {"no_one": "pip install 'd[all]'", "json": "x", "no_two": "pip install 'd[all]'"},
            "it needs no_one and no_two, not installed here; run pip install 'd[all]'",
        ),
        ({"no_one": "pip install one", "no_two": "apt install two"}, "; run pip install one and apt install two"),
    ],
)
def test_the_error_names_them_and_what_installs_them(needs: dict[str, str], said: str | None) -> None:
    spec = checked(ComponentSpec("A", kind="FILTER", needs=needs))
    assert (spec.error or "").endswith(said or "")
    assert (spec.error is None) == (said is None) == (not spec.missing)
    assert spec.kind == "FILTER"


@pytest.mark.parametrize(
    ("requirement", "line"),
    [
        ("no-such_Library>=2", "pip install no-such_Library"),
        ("no-such-library[fast]>=2 ; python_version > '3' and extra == \"tables\"", "pip install 'test-needy[tables]'"),
        ("other ; extra == 'tables'", ""),
    ],
)
def test_the_line_is_that_of_what_the_distribution_requires(site: Path, requirement: str, line: str) -> None:
    lay_out(site, "test-needy", {}, "")
    with (site / "test_needy-1.0.dist-info" / "METADATA").open("a") as file:
        file.write(f"Requires-Dist: {requirement}\n")
    error = ModuleNotFoundError("No module named", name="no_such_library.inner")
    assert needs_of(error, "test_needy", "test-needy") == {"no_such_library.inner": line}


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named", name="test_needy.gone"),  # its own
        ModuleNotFoundError("No module named", name="json"),  # it is there
        ModuleNotFoundError("without a name"),
        ImportError("cannot import name 'x' from 'json'", name="json"),
        OSError("no licence"),
    ],
)
def test_other_errors_are_about_no_library(error: Exception) -> None:
    assert needs_of(error, "test_needy.module", "no-such-distribution") == {}

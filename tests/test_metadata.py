"""The metadata of all distributions is complete, true and agrees."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import setuptools  # type: ignore[import-untyped]

import pypes

ROOT = Path(__file__).parent.parent
SETUPS = sorted([ROOT / "setup.py", *ROOT.glob("components/*/setup.py")])


#: Distributions that ask for fewer than the two inner ones.
ASKS_FOR = {"pypes-server": 0, "pypes-basic": 1, "pypes-text": 1}


@pytest.fixture(params=SETUPS, ids=lambda path: path.parent.name if path.parent != ROOT else "server")
def described(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of ``setup`` in one setup.py, and ``here``, where that is."""
    found: dict[str, Any] = {"here": request.param.parent}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: found.update(arguments))
    monkeypatch.chdir(request.param.parent)
    runpy.run_path(str(request.param))
    return found


def test_each_pattern_of_package_data_finds_a_file(described: dict[str, Any]) -> None:
    for package, patterns in described["package_data"].items():
        for pattern in patterns:
            folder = described["here"] / package
            assert any(path.is_file() for path in folder.glob(pattern)), f"{package}: nothing is {pattern}"


def test_distributions_agree(described: dict[str, Any]) -> None:
    assert described["version"] == pypes.__version__
    assert described["license"] == "Apache-2.0"
    assert described["description"]
    assert described["long_description"].startswith("# ")
    assert described["long_description_content_type"] == "text/markdown"
    assert described["keywords"] == sorted(described["keywords"])
    assert "Typing :: Typed" in described["classifiers"]
    oldest = int(re.fullmatch(r">=3\.(\d+)", described["python_requires"])[1])  # type: ignore[index]
    named = [int(found[1]) for each in described["classifiers"] if (found := re.fullmatch(r".* :: 3\.(\d+)", each))]
    assert named == list(range(oldest, oldest + len(named)))
    assert named
    assert [each for each in described["install_requires"] if each.startswith("pypes-")] == [
        f"{name}>={'.'.join(pypes.__version__.split('.')[:2])}"
        for name in ("pypes-server", "pypes-basic")[: ASKS_FOR.get(described["name"], 2)]
    ]


def test_the_version_is_a_release_of_the_changelog() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(pypes.__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])

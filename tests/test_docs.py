"""Every command and snippet of docs/ is run here, document by document, against real servers."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pypes.config import SECTIONS
from tests.settings import CHECKERS, check
from tests.snippets import ROOT, Block, Runner, blocks_of, commands_of, matches

DOCS = ROOT / "docs"
GUIDES = sorted(DOCS.glob("*.md"))
SHOWN = {"text", "dockerfile", "logrotate"}
LANGUAGES = {"console", "python", "json", "ini", "html", "xml", *CHECKERS, *SHOWN}
#: What is shown only, in all documents together: pictures, queries and messages of other programs, and their settings.
MOST_TEXT = 10

pytestmark = pytest.mark.timeout(180)


def blocks(path: Path) -> list[Block]:
    return blocks_of(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [path for path in GUIDES if blocks(path)], ids=lambda path: path.stem)
def test_everything_in_it_runs(path: Path, tmp_path: Path) -> None:
    with Runner(tmp_path) as runner:
        for block in blocks(path):
            try:
                runner.run(block)
            except AssertionError as error:
                raise AssertionError(f"docs/{path.name}:{block.line}: {error}") from error


def test_nothing_in_them_is_left_out() -> None:
    found = [block for path in GUIDES for block in blocks(path)]
    assert {block.language for block in found} <= LANGUAGES
    assert sum(block.language in SHOWN for block in found) <= MOST_TEXT
    assert not [block for block in found if block.language == "console" and not block.text.startswith("$ ")]
    assert all("pip install pypes" not in path.read_text(encoding="utf-8") for path in GUIDES)


@pytest.mark.parametrize(
    "block", [block for path in GUIDES for block in blocks(path) if block.language in CHECKERS], ids=lambda block: block.name
)
def test_settings_of_other_programs_are_right(block: Block, tmp_path: Path) -> None:
    path = tmp_path / block.name
    path.write_text(block.text, encoding="utf-8")
    check(block.language, path)


def test_links_lead_somewhere() -> None:
    for path in [*GUIDES, *DOCS.glob("decisions/*.md"), *ROOT.glob("*.md"), ROOT / "deploy" / "README.md"]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", path.read_text(encoding="utf-8")):
            found = path.parent / target if target else path
            assert found.exists(), f"{path.name}: {target}"
            assert not anchor or anchor in anchors(found), f"{path.name}: {target}#{anchor}"


def anchors(path: Path) -> set[str]:
    """The anchors that headings give: lower case, without punctuation, blanks as hyphens."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_modules_are_where_they_are_said_to_be() -> None:
    text = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("architecture.md", "glossary.md"))
    places = [ROOT / "pypes", *(path for path in (ROOT / "pypes").rglob("*") if path.is_dir())]
    for name in re.findall(r"`([a-z_/]+\.py)`", text):
        found = [place for place in ([ROOT] if name.startswith("tests/") else places) if (place / name).exists()]
        assert found, f"there is no module {name}"


def test_walks_pass_modules_that_there_are() -> None:
    section = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Three walks\n")[2].partition("\n## ")[0]
    for walk in section.split("\n### ")[1:]:
        count = re.search(r"(\d+) modules", walk)
        passed = [
            f"{folder}{name}.py"
            for folder, several, one in re.findall(r"`([a-z_/]*?)(?:\{([a-z_,]+)\}|([a-z_]+))\.py`", walk)
            for name in (several or one).split(",")
        ]
        assert not [name for name in passed if not (ROOT / "pypes" / name).is_file()]
        assert count is not None
        assert len(passed) == len(set(passed)) == int(count[1]), walk.partition("\n")[0]


def test_settings_are_those_of_the_code() -> None:
    text = (DOCS / "operator-guide.md").read_text(encoding="utf-8")
    for section in ("server", "queue", "callbacks", "log"):
        table = text.partition(f"| **`[{section}]`** |")[2].partition("\n| **")[0].partition("\n\n")[0]
        named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        assert named == [setting.name for setting in fields(SECTIONS[section])], section


def test_codes_are_those_of_the_code() -> None:
    paths = [*(ROOT / "pypes").rglob("*.py"), *ROOT.glob("components/*/pypes_*/*.py")]
    sources = "".join(path.read_text(encoding="utf-8") for path in paths)
    families = {"http", *re.findall(r'code ?= ?"([a-z]+)\.', sources)}
    for path in GUIDES:
        for code in re.findall(r"`([a-z]+\.[a-z_]+)`", path.read_text(encoding="utf-8")):
            if code.partition(".")[0] in families and not code.endswith(".py"):
                assert f'"{code}"' in sources, f"{path.name}: there is no code {code}"


def test_commands_are_told_from_what_they_print() -> None:
    assert commands_of("$ one \\\n>   more\nprinted\n$ two\n") == [("one \\\n  more", "printed"), ("two", "")]
    assert matches("a … b", "a lot of b\n")
    assert not matches("a … b", "a lot of c")
    assert not matches("", "a")
    [block] = blocks_of("before\n```json name.json\n{}\n```\n")
    assert block == Block("json", "name.json", "{}\n", 3)

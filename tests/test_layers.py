"""Imports point one way, and heavy modules are imported only where they belong."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pypes

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pypes"

#: From the inside out; a layer may import itself and those before it. Members of one tuple are peers.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "packet", "pype", "structure", "core", "component", "config", "logs", "observe", "access"),
    ("outbox",),
    ("graph",),
    ("registry",),
    ("ingest",),
    ("placement",),
    ("runtime",),
    ("pipeline",),
    ("compat",),
    ("protobuf",),
    ("testing",),
    ("web",),
    ("api",),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

#: The rooms of the largest layers, and which others of their layer each may import from. All may import the modules beside them,
#: and those ("") import no room that is not named here.
ROOMS: dict[str, dict[str, tuple[str, ...]]] = {
    "ingest": {
        "": (),
        "contracts": (),
        "codecs": (),
        "store": ("contracts",),
        "backlog": ("contracts",),
        "queues": ("contracts", "store", "backlog"),
        "dispatch": ("contracts",),
    },
    "runtime": {
        "": ("scheduler", "pools"),
        "scheduler": (),
        "pools": (),
        "instance": ("scheduler", "pools"),
        "trials": ("scheduler", "instance", "pools"),
        "generations": ("instance", "pools"),
        "graphs": ("generations", "trials", "instance", "contracts", "pools"),
        "rpc": (),
        "contracts": ("rpc",),
        "fleet": ("rpc", "contracts"),
        "worker": ("rpc", "contracts", "fleet"),
        "backup": ("graphs",),
        "supervisor": ("graphs", "generations", "worker", "rpc", "contracts", "pools", "fleet"),
    },
}

#: Who may import what. A trailing slash is a folder.
ONLY = {
    "greenlet": ("runtime/scheduler/", "testing/tasklet.py"),
    "multiprocessing": ("runtime/generations/", "runtime/supervisor/supervisor.py"),
    "importlib.metadata": ("registry/",),
    "falcon": ("api/",),
    "click": ("cli/",),
    "gunicorn": ("api/",),
    "uvicorn": ("api/",),
}

# what is to be made from templates is no module yet
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts)


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Line and full name of every module imported in a file, those inside functions included, for type checking not."""
    return [*_imports(path)]


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            typing_only.update(descendant for statement in node.body for descendant in ast.walk(statement))
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_inwards(path: Path) -> None:
    own = layer_of(path)
    if own == "__init__":
        return  # the public names: it reaches for them when asked, never when imported
    assert own in RANK, f"{own} has no place among the layers: give it one here"
    for line, name in imports(path):
        parts = name.split(".")
        if parts[0] == "pypes" and len(parts) > 1 and parts[1] in RANK:
            assert RANK[parts[1]] <= RANK[own], f"{path}:{line}: {own} imports {name}, which is further out"
        assert parts[0] != "components", f"{path}:{line}: components are found through entry points"
        assert not parts[0].startswith("pypes_"), f"{path}:{line}: {name} is a component, found through its entry point"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_modules_stay_where_they_belong(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    for line, name in imports(path):
        for module, homes in ONLY.items():
            if name == module or name.startswith(f"{module}."):
                assert place.startswith(homes), f"{path}:{line}: only {', '.join(homes)} may import {module}"


@pytest.mark.parametrize("path", [path for path in MODULES if layer_of(path) in ROOMS], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_of_a_layer_are_apart(path: Path) -> None:
    own_layer, *parts = path.relative_to(PACKAGE).parts
    rooms, own = ROOMS[own_layer], parts[0] if len(parts) > 1 else ""
    assert own in rooms, f"{own} has no place among the rooms of {own_layer}: give it one here"
    allowed = {own, *rooms[own]}
    for line, name in imports(path):
        _, layer, room = [*name.split("."), "", ""][:3]
        if layer == own_layer and room in rooms:
            assert room in allowed, f"{path}:{line}: {layer}/{own} imports {name}; it may import from {sorted(allowed - {''})}"


#: Ways to ask for the time of day, of which only :mod:`pypes.core.clock` may use any.
TIME_OF_DAY = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "time.localtime", "time.gmtime")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_time_of_day_is_read_in_one_place(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    text = path.read_text(encoding="utf-8")
    names = {name.rpartition(".")[2] for name in TIME_OF_DAY}
    if not any(f".{name}" in text for name in names):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node) in TIME_OF_DAY:
            assert place == "core/clock.py", f"{path}:{node.lineno}: ask pypes.core.clock.wall, which a test can move"


def cells(table: str) -> list[list[list[str]]]:
    """The names in each cell of a table of architecture.md that begins with the heading ``table``."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = text.partition(f"\n| {table} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[re.findall(r"`(\w+)/?`", cell) for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_docs_tell_of_the_same_layers() -> None:
    found = {layer_of(path) for path in MODULES} - {"__init__"}
    layers = [here for names in LAYERS if (here := found & {*names})]
    assert [{*names} for names, *_ in cells("Layer")] == layers
    told = [line.strip().partition("  ")[0].split(", ") for line in (pypes.__doc__ or "").splitlines() if line.startswith("    ")]
    assert [{*names} for names in told] == layers


@pytest.mark.parametrize("layer", ROOMS)
def test_the_docs_tell_of_the_same_rooms(layer: str) -> None:
    rooms = {room: {*allowed} for room, allowed in ROOMS[layer].items() if room}
    assert {room: {*allowed} for (room,), _, allowed in cells(f"Room of `{layer}/`")} == rooms


def test_every_layer_exists_or_is_to_come() -> None:
    found = {layer_of(path) for path in MODULES} - {"__init__"}
    assert found <= RANK.keys()


#: What a component may import: the public names, errors, and what the guide tells of: the identity and the versions of documents,
#: the rules for names and types of files, the structure of a text, questions to publishers, outboxes, budgets, waits, programs,
#: traces of callers.
CONTRACT = (
    *(f"pypes.{name}" for name in pypes.__all__),
    "pypes.errors.",
    "pypes.core.identity.",
    "pypes.core.trace_context.",
    "pypes.core.hops.",
    "pypes.core.media_types.",
    "pypes.core.file_names.",
    "pypes.component.budget.",
    "pypes.component.searching.",
    "pypes.core.retry_after.",
    "pypes.core.program.",
    "pypes.core.functions.",
    "pypes.outbox.file.",
    "pypes.structure.",
)


@pytest.mark.parametrize("distribution", sorted(path.parent.name for path in ROOT.glob("components/*/setup.py")))
def test_components_use_only_the_contract(distribution: str) -> None:
    """A component distribution sees what a third party's would: packet, component, parameters, rules for files, errors."""
    for path in ROOT.glob(f"components/{distribution}/pypes_*/*.py"):
        for line, name in imports(path):
            if name.split(".")[0] == "pypes":
                assert name.startswith(CONTRACT), f"{path}:{line}: {name} is not part of the contract"


def modules_by_name() -> dict[str, Path]:
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}


def all_imports(path: Path, known: Collection[str]) -> set[str]:
    """The modules of Pypes that a file imports, those for type checking included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in known else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found & set(known)


def test_no_imports_go_round_in_a_circle() -> None:
    """Not even for type checking: whoever reads a module need not have read those that use it."""
    known = modules_by_name()
    sorter = TopologicalSorter({name: all_imports(path, known) - {name} for name, path in known.items() if name != "pypes"})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))

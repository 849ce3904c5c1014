"""Gestures on the page against the pure model of the editor, which runs beside it: the same graph after each, back and forth."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.browser.chromium import Seen
from tests.browser.editor.desk import Desk, plain
from tests.browser.nodes import judging
from tests.needed import missing

pytestmark = pytest.mark.browser

UI = Path(__file__).parents[3] / "ui"
#: Comes with what the editor is built with: npm --prefix ui ci
ESBUILD = UI / "node_modules" / ".bin" / "esbuild"
ROOMS = ("change", "gestures", "clip", "graph", "history", "ports")
COMPONENTS = ("JSON", "Null", "Judge", "Batch", "Route", "Template")
GESTURES = 40


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with judging(tmp_path_factory.mktemp("gestures")) as node:
        yield node


@pytest.fixture(scope="module")
def model() -> str:
    """The model as one script, which sets `model`."""
    if not ESBUILD.exists():
        missing("the packages of the editor are not installed: npm --prefix ui ci")
    source = "\n".join(f'export * from "./src/model/{room}";' for room in ROOMS)
    command = [str(ESBUILD), "--bundle", "--format=iife", "--global-name=model", "--loader=ts"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True, cwd=UI).stdout


class Mirror:
    """The model beside the page, to which the same is done."""

    def __init__(self, page: Any, model: str, graph: dict[str, Any], specs: Any) -> None:
        self.page = page
        page.evaluate(f"() => {{ {model}; window.model = model; }}")
        page.evaluate(
            """([graph, specs]) => {
              window.mirror = {doc: model.readGraph(graph).doc, history: model.emptyHistory};
              window.specs = Object.fromEntries(specs.map(spec => [spec.name, spec]));
            }""",
            [graph, specs],
        )

    def do(self, changes: str, *args: Any) -> None:
        """Do a gesture, written as a function of the model, the graph, and the arguments."""
        self.page.evaluate(
            f"""args => {{
              const changes = (({changes}))(model, mirror.doc, ...args);
              mirror = model.edit(mirror, {{key: "gesture.add", params: {{}}}}, changes);
            }}""",
            list(args),
        )

    def back(self, step: str) -> None:
        self.page.evaluate("step => { const {doc, history} = model[step](mirror); mirror = {doc, history}; }", step)

    def graph(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate("model.toFile(mirror.doc)")
        return found

    def steps(self) -> dict[str, int]:
        found: dict[str, int] = self.page.evaluate("({undo: mirror.history.undo.length, redo: mirror.history.redo.length})")
        return found

    def wires(self, filter: str) -> list[list[str]]:
        """The wires that may be drawn from the default output of a filter."""
        found: list[list[str]] = self.page.evaluate(
            """filter => {
              if (!model.portsOf(mirror.doc, specs, filter).outputs.includes("out")) return [];
              return model.candidates(mirror.doc, specs, {filter, port: "out", side: "output"}).map(({wire}) => wire);
            }""",
            filter,
        )
        return found


class Hands:
    """Does a gesture on the page, and the same to the model."""

    def __init__(self, desk: Desk, mirror: Mirror, seed: int) -> None:
        self.desk, self.mirror, self.random = desk, mirror, random.Random(seed)
        self.keyboard = desk.page.keyboard

    def names(self) -> list[str]:
        return sorted(self.mirror.graph()["nodes"])

    def choose(self, name: str) -> None:
        self.desk.filter(name).focus()
        self.keyboard.press("Enter")
        self.desk.name.wait_for()

    def add(self) -> None:
        component = self.random.choice(COMPONENTS)
        self.desk.add(component)
        self.mirror.do("(model, doc, component) => model.addFilter(doc, {component}).changes", component)

    def rename(self) -> None:
        name, new = self.random.choice(self.names()), f"n{self.random.randrange(10**6)}"
        self.choose(name)
        self.desk.rename(new)
        self.mirror.do("(model, doc, from, to) => model.renameFilter(from, to)", name, new)

    def wire(self) -> None:
        fitting = [wire for name in self.names() for wire in self.mirror.wires(name)]
        if not fitting:
            return self.add()
        source, target = self.random.choice(fitting)
        self.choose(source.split(".")[0])
        self.desk.connect(source, target)
        self.mirror.do("(model, doc, wire) => [model.addWire(wire)]", [source, target])

    def cut(self) -> None:
        wires = self.mirror.graph()["wires"]
        if not wires:
            return self.add()
        source, target = self.random.choice(wires)
        self.desk.wire(source, target).focus()
        self.keyboard.press("Enter")
        self.desk.settings.get_by_role("heading", name="Wire", exact=True).wait_for()
        self.keyboard.press("Delete")
        self.desk.wire(source, target).wait_for(state="detached")
        self.mirror.do("(model, doc, wire) => [model.removeWire(wire)]", [source, target])

    def remove(self) -> None:
        name = self.random.choice(self.names())
        self.choose(name)
        self.keyboard.press("Delete")
        self.desk.filter(name).wait_for(state="detached")
        self.mirror.do("(model, doc, name) => model.removeItems(doc, {filters: [name]})", name)

    def limit(self) -> None:
        name, seconds = self.random.choice(self.names()), self.random.randrange(1, 10**6)
        self.choose(name)
        # behind "Limits and attempts"
        self.desk.settings.locator('[data-place="timeout_s"]').evaluate("field => { field.closest('details').open = true; }")
        self.desk.fill("timeout_s", f"{seconds} s")
        self.keyboard.press("Escape")
        self.desk.page.locator(".compose .react-flow__node:focus").wait_for()
        self.mirror.do("(model, doc, name, value) => model.setOption(name, 'timeout_s', value)", name, seconds)

    def duplicate(self) -> None:
        name = self.random.choice(self.names())
        self.choose(name)
        self.keyboard.press("Control+d")
        self.mirror.do("(model, doc, name) => model.paste(doc, model.readClip(model.copy(doc, {filters: [name]}))).changes", name)

    def undo(self) -> None:
        if not self.mirror.steps()["undo"]:
            return self.add()
        self.desk.page.get_by_role("button", name="Undo").click()
        self.mirror.back("undo")

    def redo(self) -> None:
        if not self.mirror.steps()["redo"]:
            return self.undo()
        self.desk.page.get_by_role("button", name="Redo").click()
        self.mirror.back("redo")


def test_forty_random_gestures_give_what_the_pure_model_gives(seen: Seen, node: Node, model: str) -> None:
    desk = Desk(seen.page, node, "shop").open()
    desk.filter("judge").wait_for()
    desk.add("Null")
    mirror = Mirror(seen.page, model, desk.here(), node.get("/components?limit=1000").json())
    # the step that made the draft is not the model's
    hands = Hands(desk, mirror, seed=20)
    weights = {"add": 5, "rename": 2, "wire": 5, "cut": 1, "remove": 1, "limit": 3, "duplicate": 2, "undo": 3, "redo": 2}
    gestures = hands.random.choices([*weights], [*weights.values()], k=GESTURES)
    for number, gesture in enumerate(gestures):
        getattr(hands, gesture)()
        assert plain(desk.here()) == plain(mirror.graph()), f"after {' '.join(gestures[: number + 1])}"
    # all the way back, and forth again
    done = plain(mirror.graph())
    for step, button in (("undo", "Undo"), ("redo", "Redo")):
        for _ in range(mirror.steps()[step]):
            desk.page.get_by_role("button", name=button).click()
            mirror.back(step)
            assert plain(desk.here()) == plain(mirror.graph()), step
    assert plain(desk.wait_draft(lambda graph: plain(graph) == done, "all is saved")) == done

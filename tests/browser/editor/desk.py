"""The page on which a graph is composed, as somebody in front of it uses it: by mouse, or by keyboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, until

DEMO = json.loads((Path(__file__).parents[3] / "graphs" / "documents.json").read_text())


class Desk:
    """The draft of one graph on a page."""

    def __init__(self, page: Any, node: Node, graph: str) -> None:
        self.page = page
        self.node = node
        self.graph = graph

    def open(self) -> Desk:
        self.page.goto(f"{self.node.url}/#/graphs/{self.graph}/compose")
        self.page.get_by_role("searchbox", name="Search components").wait_for()
        return self

    # -- what is seen ------------------------------------------------------------------------------------

    def filter(self, name: str) -> Any:
        return self.page.locator(f'.compose .react-flow__node[data-id="{name}"]')

    def wire(self, source: str, target: str) -> Any:
        return self.page.locator(f'.compose .react-flow__edge[data-id="{source} {target}"]')

    def port(self, end: str) -> Any:
        name, port = end.split(".")
        return self.filter(name).locator(f'.react-flow__handle[data-handleid="{port}"]')

    @property
    def settings(self) -> Any:
        return self.page.get_by_role("complementary", name="Settings")

    @property
    def name(self) -> Any:
        """The field for the name of the filter that is chosen."""
        return self.settings.get_by_label("Name", exact=True)

    def notice(self, text: str) -> Any:
        return self.page.locator(".notice", has_text=text)

    def wait_saved(self) -> None:
        self.page.locator(".saving", has_text="Draft saved").wait_for()

    # -- what is there -----------------------------------------------------------------------------------

    def draft(self) -> dict[str, Any]:
        """The graph of the draft that the node has."""
        answer = self.node.get(f"/graphs/{self.graph}/draft")
        assert answer.status == 200, answer.data
        graph: dict[str, Any] = answer.json()["graph"]
        return graph

    def here(self) -> dict[str, Any]:
        """The graph as the page has it, saved or not."""
        kept: dict[str, Any] | None = self.page.evaluate(
            """graph => {
              dispatchEvent(new Event("pagehide"));
              return JSON.parse(sessionStorage.getItem(`pypes.draft.${graph}`)).doc ?? null;
            }""",
            self.graph,
        )
        if kept is not None:
            return kept
        answer = self.node.get(f"/graphs/{self.graph}/draft")
        found: dict[str, Any] = (answer if answer.status == 200 else self.node.get(f"/graphs/{self.graph}")).json()["graph"]
        return found

    def wait_draft(self, check: Any, what: str) -> dict[str, Any]:
        """The draft as soon as the node has one that passes a check."""

        def look() -> dict[str, Any] | None:
            answer = self.node.get(f"/graphs/{self.graph}/draft")
            graph = answer.json()["graph"] if answer.status == 200 else None
            return graph if graph is not None and check(graph) else None

        found: dict[str, Any] = until(look, 20, what)
        return found

    # -- by keyboard -------------------------------------------------------------------------------------

    def add(self, component: str) -> None:
        """Search for a component, and add the first that is found."""
        self.page.keyboard.press("/")
        self.page.keyboard.type(component)
        self.page.keyboard.press("Enter")
        self.page.locator(".compose .react-flow__node:focus").wait_for()

    def rename(self, name: str) -> None:
        """Rename the filter that is chosen; the focus is on it again then."""
        self.page.keyboard.press("F2")
        self.page.keyboard.type(name)
        self.page.keyboard.press("Enter")
        self.filter(name).wait_for()
        self.filter(name).focus()

    def connect(self, source: str, target: str) -> None:
        """Wire the filter that has the focus."""
        self.page.keyboard.press("c")
        self.page.get_by_role("combobox", name="Search ports").press_sequentially(f"{source} → {target}")
        self.page.keyboard.press("Enter")
        self.wire(source, target).wait_for(state="attached")

    # -- by mouse ----------------------------------------------------------------------------------------

    def drag(self, component: str, x: float, y: float) -> None:
        """Drag a component from the list to a point of the window."""
        item = self.page.locator(".shelf-item", has=self.page.locator(f'.shelf-name:text-is("{component}")'))
        item.scroll_into_view_if_needed()
        item.hover()
        self.page.mouse.down()
        self.page.mouse.move(x - 40, y, steps=4)
        self.page.mouse.move(x, y, steps=2)
        self.page.mouse.up()

    def draw(self, source: str, target: str) -> None:
        """Draw a wire from a port to another."""
        self.port(source).hover()
        self.page.mouse.down()
        self.port(target).hover()
        self.page.mouse.up()

    # -- in the form -------------------------------------------------------------------------------------

    def fill(self, place: str, value: Any) -> None:
        """Give a field of the form its value, whatever its kind."""
        field = self.settings.locator(f'[data-place="{place}"]')
        if isinstance(value, list):
            label = place.rpartition(".")[2]
            for at, item in enumerate(value):
                self.settings.get_by_role("button", name=f"Add to {label}").click()
                self.fill(f"{place}.{at}", item)
        else:
            field.fill(str(value))

    def deploy(self, note: str) -> None:
        """Deploy with the mouse."""
        self.wait_saved()
        self.page.get_by_role("button", name="Deploy", exact=True).click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("What was changed").fill(note)
        dialog.get_by_role("button", name="Deploy", exact=True).click()
        self.wait_live()

    def discard(self) -> None:
        """Leave the graph as it is deployed."""
        self.wait_saved()
        self.page.get_by_role("button", name="Discard draft").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Discard draft").click()
        self.page.locator(".saving", has_text="As deployed").wait_for()

    def wait_live(self) -> None:
        """Until the dialog says that the draft is live."""
        self.page.get_by_role("dialog").get_by_text("is live.").wait_for(timeout=60_000)


def plain(graph: dict[str, Any]) -> dict[str, Any]:
    """What a graph does: without names that nobody sees, and places."""
    nodes = {name: {key: value for key, value in node.items() if key != "uid"} for name, node in graph["nodes"].items()}
    kept = {key: value for key, value in graph.items() if key not in ("layout", "comments", "tests")}
    return {**kept, "nodes": nodes, "wires": sorted(graph["wires"])}

"""Makes the pictures of the editor in ``docs/.pictures``, and its walk-through: part of ``make screenshots``.

A node with graphs of the trade of a mill: one indexes files, one checks orders and has hundreds of dead letters, one cannot reach
its destination, one cannot be set up, one has a name of sixty characters.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from pypes.testing.node import Node, until
from tests.browser.chromium import looking
from tests.browser.editor.desk import DEMO, Desk
from tests.browser.shown import CONTRACTS, graph, showing

SAMPLES = Path(__file__).parents[3] / "samples"
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
#: Enough for type on plain grounds; a picture is a fifth of what it was.
COLOURS = 128
#: The folder of the node as it is called in pictures, which show nothing of the machine that made them.
HOME = "/srv/pypes"
RENAMED = """([from, to]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(from, to);
}"""

COMPONENTS = """

class Price(Transformer):
    \"\"\"Give an order the price of its cloth.\"\"\"

    icon = "tag"

    class Params(Parameters):
        vat: float = 0.19

    def process(self, packet):
        if packet.get("cloth") is None:
            raise Reject("the order names no cloth", code="order.no_cloth")
        packet.set("price", round(float(packet.get("yards")) * 3.5 * (1 + self.params.vat), 2))
        return packet
"""

PRICED: tuple[str, str, dict[str, Any]] = ("price", "Price", {})
LINES: tuple[str, str, dict[str, Any]] = ("lines", "JSONLines", {"path": "orders.jsonl"})
LONG = "letters_from_the_office_in_calcutta_1801_to_1899_transcribed"
GRAPHS = (
    graph("orders", PRICED, LINES, description="Orders of cloth, with their prices"),
    graph("stock", PRICED, ("warehouse", "Warehouse", {})),
    CONTRACTS,
    graph(LONG, ("null", "Null", {})),
)
DRAFT = graph("orders", ("price", "Price", {"vat": 0.21}), ("unchanged", "Unchanged", {}), LINES)
SAMPLE = [{"id": "order-7", "cloth": "twill", "yards": 12}, {"id": "order-8", "cloth": "muslin", "yards": "forty"}]


def order(number: int) -> dict[str, Any]:
    made: dict[str, Any] = {"id": f"order-{number}", "cloth": ("twill", "muslin", "calico")[number % 3], "yards": number % 90 + 1}
    if number % 4 == 1:
        made["yards"] = "three dozen"
    elif number % 10 == 2:
        del made["cloth"]
    return made


def posted(node: Node, documents: Any, route: str, query: str = "") -> str:
    """The receipt of documents that came to an end."""
    answer = node.post(json.dumps(documents).encode(), f"/docs/{route}{query}")
    assert answer.status == 202, answer.data
    receipt: str = answer.json()["receipt"]
    until(lambda: node.get(f"/receipts/{receipt}?wait=5").json()["pending"] == 0, 60, "all are at an end")
    return receipt


@contextmanager
def trade(base: Path) -> Iterator[Node]:
    """The node, with its history."""
    with showing(base, DEMO, GRAPHS, COMPONENTS, instances=1) as node:
        posted(node, [order(number) for number in range(1500)], "orders")
        node.post(json.dumps([order(3)]).encode(), "/docs/stock")
        for name, kind in (("jacquard-loom.pdf", "application/pdf"), ("yarn-stock.xlsx", "application/octet-stream")):
            named = {"Content-Disposition": f'attachment; filename="{name}"'}
            node.post((SAMPLES / name).read_bytes(), "/docs", kind, **named)
        changed = {**GRAPHS[0], "description": "Orders of cloth, with prices"}
        for note, version in (("shorter", changed), ("as it was", GRAPHS[0])):
            answer = node.http.request("PUT", f"{node.url}/graphs/orders?note={note.replace(' ', '+')}", json=version)
            assert answer.status == 200, answer.data
        draft = {"base": 3, "graph": DRAFT}
        node.http.request("PUT", f"{node.url}/graphs/orders/draft", json=draft, headers={"If-None-Match": "*"})
        yield node


@contextmanager
def traffic(node: Node) -> Iterator[None]:
    """Orders come all the time."""
    over = threading.Event()

    def post() -> None:
        number = 3
        while not over.is_set():
            node.post(json.dumps([order(4 * each + 3) for each in range(number, number + 20)]).encode(), "/docs/orders")
            number += 20
            over.wait(0.1)

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def graphs(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs")
    page.locator(".graph-card", has_text="orders").get_by_role("link", name="price").first.wait_for()


def watch(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/orders")
    wire = page.locator('.react-flow__edge[data-id="price.out lines.in"]')
    wire.wait_for(state="attached")
    wire.focus()
    page.keyboard.press("Enter")
    page.locator(".packets li").nth(8).wait_for()
    page.locator(".wire-rate", has_text="/s").nth(1).wait_for(state="attached")
    page.locator(".figure", has_text="Published").locator("dd", has_text=re.compile("^[1-9]")).first.wait_for()
    page.get_by_role("button", name="Hold").click()
    page.locator(".packets summary").first.click()


def repair(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/repair?graph=orders&filter=price&code=component.raised")
    page.get_by_text("1 to 50 of").wait_for()


def letter(page: Any, node: Node) -> None:
    [found] = node.get("/deadletters?graph=orders&id=order-1497&limit=1").json()["deadletters"]
    page.goto(f"{node.url}/#/repair/{found['id']}")
    page.get_by_label("Value of yards").fill("36")
    page.get_by_role("tab", name="Form").wait_for()


def follow(page: Any, node: Node) -> None:
    receipt = posted(node, SAMPLE, "orders", "?trace=1")
    page.goto(f"{node.url}/#/follow?q={receipt}")
    page.get_by_role("button", name="Next step").click()
    page.get_by_text("Step 2 of").wait_for()


def search(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/answer?q=card+thread&graph=documents")
    page.locator("mark").first.wait_for()


def compose(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/orders/compose")
    filter = page.locator('.compose .react-flow__node[data-id="price"]')
    filter.wait_for()
    filter.focus()
    page.keyboard.press("Enter")
    page.get_by_role("complementary", name="Settings").get_by_label("Name", exact=True).wait_for()


def step(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/orders/step")
    text = page.get_by_label("Text or JSON")
    text.fill(json.dumps(SAMPLE))
    text.press("Control+Enter")
    page.get_by_role("region", name="Step", exact=True).wait_for()
    text.blur()
    page.keyboard.press("ArrowRight")
    page.get_by_role("region", name="After").wait_for()


def versions(page: Any, node: Node) -> None:
    page.goto(f"{node.url}/#/graphs/orders/versions")
    page.get_by_role("region", name="Difference").wait_for()
    page.locator(".react-flow__node.mark-added").first.wait_for()


SHOTS: dict[str, Callable[[Any, Node], None]] = {
    each.__name__: each for each in (graphs, watch, repair, letter, follow, search, compose, step, versions)
}
ON_A_PHONE = ("graphs", "watch", "repair", "letter")


def small(png: bytes) -> Image.Image:
    """The picture in few colours."""
    return Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)


def settled(page: Any, node: Node) -> bytes:
    """The page when nothing on it moves any more by itself: no notices, no transitions."""
    page.evaluate("document.fonts.ready")
    page.evaluate(RENAMED, [str(node.base), HOME])
    taken: bytes = page.screenshot(animations="disabled", caret="hide")
    return taken


def walk(browser: Any, node: Node, path: Path) -> None:
    """Somebody composes a graph by keyboard, and deploys it: a frame for each thing they do."""
    frames: list[Image.Image] = []
    times: list[int] = []
    with looking(browser, viewport={"width": 1120, "height": 640}) as seen:

        def frame(ms: int = 900) -> None:
            frames.append(Image.open(io.BytesIO(settled(seen.page, node))).convert("RGB"))
            times.append(ms)

        desk = Desk(seen.page, node, "returns").open()
        frame(1500)
        for name, component in (("json", "JSON"), ("price", "Price"), ("lines", "JSONLines")):
            seen.page.keyboard.press("/")
            seen.page.keyboard.type(component)
            frame()
            seen.page.keyboard.press("Enter")
            seen.page.locator(".compose .react-flow__node:focus").wait_for()
            desk.rename(name)
            frame()
        for source, target in (("json.out", "price.in"), ("price.out", "lines.in")):
            desk.filter(source.split(".")[0]).focus()
            seen.page.keyboard.press("Enter")
            seen.page.keyboard.press("c")
            seen.page.get_by_role("combobox", name="Search ports").press_sequentially(f"{source} → {target}")
            frame()
            seen.page.keyboard.press("Enter")
            desk.wire(source, target).wait_for(state="attached")
            frame()
        desk.filter("lines").focus()
        seen.page.keyboard.press("Enter")
        desk.fill("params.path", "returns.jsonl")
        frame(1200)
        seen.page.get_by_role("button", name="Show the whole graph").click()
        frame(1200)
        desk.filter("lines").focus()
        seen.page.keyboard.press("Escape")
        route = desk.settings.get_by_role("textbox", name="New name in Routes")
        route.fill("returns")
        route.press("Enter")
        frame(1200)
        desk.wait_saved()
        seen.page.get_by_role("button", name="Deploy", exact=True).click()
        dialog = seen.page.get_by_role("dialog")
        dialog.get_by_label("What was changed").fill("Cloth that came back")
        frame(1500)
        dialog.get_by_role("button", name="Deploy", exact=True).click()
        desk.wait_live()
        frame(1800)
        dialog.get_by_role("link", name="Watch").click()
        seen.page.locator('.react-flow__node[data-id="lines"]').wait_for()
        returned = json.dumps([order(4 * number + 3) for number in range(60)]).encode()
        rate = seen.page.locator(".wire-rate", has_text="/s").nth(1)
        until(lambda: node.post(returned, "/docs/returns").status == 202 and rate.is_visible(), 20, "the graph is seen at work")
        frame(2500)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=60, method=6)


def take(browser: Any, base: Path, pictures: Path) -> None:
    """Make all pictures of the editor anew."""
    with trade(base) as node:
        for scheme in ("light", "dark"):
            with looking(browser, viewport=DESK, color_scheme=scheme) as seen:
                for name, show in SHOTS.items():
                    with traffic(node):
                        show(seen.page, node)
                        small(settled(seen.page, node)).save(pictures / f"editor-{name}-{scheme}.png", optimize=True)
        with looking(browser, viewport=PHONE, has_touch=True) as seen:
            for name in ON_A_PHONE:
                with traffic(node):
                    SHOTS[name](seen.page, node)
                    small(settled(seen.page, node)).save(pictures / f"editor-{name}-phone.png", optimize=True)
        walk(browser, node, pictures / "editor-walk.webp")

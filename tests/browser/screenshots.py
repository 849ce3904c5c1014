"""Makes the pictures of the page and of the editor in ``docs/.pictures``: ``make screenshots``.

The folder is hidden from ``make demo``, which feeds the documentation: no graph reads pictures.

A node with four graphs is fed: one has a filter that is slow, one a destination that is not there, and one cannot be set up.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, until
from tests.browser.chromium import DESK, PHONE, chromium, looking
from tests.browser.editor import screenshots as editor
from tests.browser.shown import CONTRACTS, graph, showing

PICTURES = Path(__file__).parents[2] / "docs" / ".pictures"
SHOTS: dict[str, dict[str, Any]] = {
    "page-light": {"viewport": DESK},
    "page-dark": {"viewport": DESK, "color_scheme": "dark"},
    "page-phone": {"viewport": PHONE},
}
COMPONENTS = """

class Slow(Transformer):
    def process(self, packet):
        time.sleep(0.05)
        return packet


class Check(Transformer):
    def process(self, packet):
        number = packet.get("n")
        if number % 50 == 3:
            raise Reject("there is no price", code="order.no_price")
        if number % 97 == 5:
            raise KeyError("customer")
        return packet
"""
CHECK: tuple[str, str, dict[str, Any]] = ("check", "Check", {})
NULL: tuple[str, str, dict[str, Any]] = ("null", "Null", {})
ORDERS = graph("orders", CHECK, NULL)
OTHERS = (graph("letters", ("slow", "Slow", {}), NULL), graph("stock", CHECK, ("warehouse", "Warehouse", {})), CONTRACTS)


def feed(node: Node, first: int) -> None:
    """Documents for all graphs: so many that some still wait."""
    for route, count in (("orders", 1000), ("letters", 150), ("stock", 2)):
        documents = [{"n": first + number} for number in range(count)]
        for document in (documents,) if route == "orders" else [[one] for one in documents]:
            assert node.post(json.dumps(document).encode(), f"/docs/{route}").status == 202


def main() -> None:
    """Make all pictures anew."""
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        showing(Path(folder), ORDERS, OTHERS, COMPONENTS) as node,
        chromium() as browser,
    ):
        node.get("/plain")
        feed(node, 0)
        until(lambda: b"rests since" in node.get("/plain").data, 30, "a filter rests")
        for name, options in SHOTS.items():
            with looking(browser, **options) as seen:
                seen.page.goto(f"{node.url}/plain?refresh=0")
                seen.page.screenshot(path=PICTURES / f"{name}.png", full_page=name != "page-phone")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        editor.take(browser, Path(folder), PICTURES)


if __name__ == "__main__":
    main()

"""The editor with a large graph at work: until it is drawn, and frames a second while counters move and while it is panned.

``python -m benchmarks.editor`` needs Chromium (``make install-browser``), and prints a table.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from pypes.testing.node import Node, running
from tests.browser.chromium import chromium, looking

CHAINS, LENGTH, TAPPED = 9, 33, 11
#: Documents in a second, each of which comes to every filter.
EVERY_S = 0.1
#: Seconds that frames are counted, and how often all is measured.
SECONDS = 5.0
ROUNDS = 3
VIEWPORT = {"width": 1400, "height": 800}
#: All filters and wires of the graph are there, and have been painted.
DRAWN = """([filters, wires]) => new Promise((done, fail) => {
    const count = selector => document.querySelectorAll(selector).length;
    const look = () => {
        if (count('.filter-card') === filters && count('.wire') === wires)
            requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
        else if (performance.now() > 20000) fail('not drawn');
        else requestAnimationFrame(look);
    };
    look();
})"""
FRAMES = """seconds => new Promise(done => {
    const times = [];
    const frame = now => { times.push(now); now - times[0] < seconds * 1000 ? requestAnimationFrame(frame) : done(times); };
    requestAnimationFrame(frame);
})"""


def graph(chains: int, length: int, tapped: int) -> dict[str, Any]:
    """Chains between an adapter and a publisher; some wires lead to a second publisher as well."""
    nodes: dict[str, Any] = {"json": {"component": "JSON"}, "end": {"component": "Null"}, "second": {"component": "Null"}}
    wires: list[list[str]] = []
    for chain in range(chains):
        names = [f"set{chain}-{position:02}" for position in range(length)]
        nodes |= {name: {"component": "SetField", "params": {"field": "at", "value": name}} for name in names}
        wires += [["json.out", f"{names[0]}.in"], *([f"{a}.out", f"{b}.in"] for a, b in pairwise(names))]
        wires += [[f"{names[-1]}.out", "end.in"], *([f"{name}.out", "second.in"] for name in names[:tapped])]
    made = {"pypes": 1, "name": f"filters{len(nodes)}", "routes": [f"filters{len(nodes)}"], "nodes": nodes, "wires": wires}
    places = {name: [304 * (1 + int(name[-2:])), 152 * int(name[3])] for name in nodes if name.startswith("set")}
    return {**made, "layout": {"json": [0, 0], **places, "end": [304 * (length + 1), 0], "second": [304 * (length + 1), 152]}}


def without_places(made: dict[str, Any]) -> dict[str, Any]:
    """The same graph as a program would write it: the editor lays it out."""
    name = f"{made['name']}-bare"
    return {**{key: value for key, value in made.items() if key != "layout"}, "name": name, "routes": [name]}


@contextmanager
def traffic(node: Node, route: str) -> Iterator[None]:
    """Documents, one after the other, while the block runs."""
    over = threading.Event()

    def post() -> None:
        while not over.wait(EVERY_S):
            node.post(json.dumps({"title": "loom"}).encode(), f"/docs/{route}")

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ready_ms(browser: Any, node: Node, shown: dict[str, Any]) -> tuple[float, float]:
    """Milliseconds from the begin of a reload until a graph is painted, and those in which the page worked."""
    with looking(browser, viewport=VIEWPORT) as seen:
        page = seen.page
        page.goto(f"{node.url}/#/graphs/{shown['name']}")
        size = [len(shown["nodes"]), len(shown["wires"])]
        page.evaluate(DRAWN, size)
        session = page.context.new_cdp_session(page)
        # processor time: what else the machine does is not counted
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = _work_ms(session)
        page.reload()
        taken = float(page.evaluate(DRAWN, size))
        return taken, _work_ms(session) - before


def _work_ms(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(1000 * each["value"] for each in metrics if each["name"] == "TaskDuration"))


def frames_s(times: list[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0]) * 1000


def frames(browser: Any, node: Node, shown: dict[str, Any]) -> tuple[float, float, float]:
    """Frames a second while counters move, while the canvas is panned as well, and while it is panned near enough to be read."""
    with looking(browser, viewport=VIEWPORT) as seen:
        page = seen.page
        page.goto(f"{node.url}/#/graphs/{shown['name']}")
        page.evaluate(DRAWN, [len(shown["nodes"]), len(shown["wires"])])
        page.locator(".wire-path[data-moving]").first.wait_for(state="attached")
        moving = frames_s(page.evaluate(FRAMES, SECONDS))
        far = _panned(page)
        for _ in range(5):
            page.keyboard.press("+")
        near = _panned(page)
        assert seen.complaints == []
        return moving, far, near


def _panned(page: Any) -> float:
    page.evaluate(f"window.counted = ({FRAMES})({SECONDS})")
    page.mouse.move(700, 700)
    page.mouse.down()
    isOver = False
    step = 0
    while not isOver:
        step += 1
        # to and fro, up and down
        page.mouse.move(700 + 300 * ((step % 120) / 60 - 1), 600 + 150 * ((step % 90) / 45 - 1))
        isOver = step % 20 == 0 and page.evaluate(
            "Promise.race([window.counted.then(() => true), new Promise(d => setTimeout(d, 0, false))])"
        )
    page.mouse.up()
    return frames_s(page.evaluate("window.counted"))


def main() -> None:
    large, small = graph(CHAINS, LENGTH, TAPPED), graph(1, 1, 1)
    bare = without_places(large)
    with tempfile.TemporaryDirectory(prefix="pypes-editor-") as base, chromium() as browser:
        (Path(base) / "graphs").mkdir()
        for other in (small, bare):
            (Path(base) / "graphs" / f"{other['name']}.json").write_text(json.dumps(other))
        with running(Path(base), large, workers=1, instances=1) as node, traffic(node, large["name"]):
            ready = [tuple(ready_ms(browser, node, each) for each in (large, small, bare)) for _ in range(ROUNDS)]
            counted = [frames(browser, node, large) for _ in range(ROUNDS)]
    named = [
        (f"{len(large['nodes'])} filters", 0),
        (f"{len(small['nodes'])} filters", 1),
        ("as many as before, without places: laid out first", 2),
    ]
    rows = [
        *((f"ms until they are drawn, {name}", [each[at][0] for each in ready]) for name, at in named),
        *((f"ms of work of the page until then, {name}", [each[at][1] for each in ready]) for name, at in named),
        ("frames a second, counters move", [each[0] for each in counted]),
        ("frames a second, panned as a whole", [each[1] for each in counted]),
        ("frames a second, panned from near", [each[2] for each in counted]),
    ]
    lines = [f"| {name} | {statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f}) |" for name, values in rows]
    size = f"{len(large['nodes'])} filters, {len(large['wires'])} wires; {ROUNDS} rounds: median (least to most)"
    sys.stdout.write("\n".join([size, "", "| | |", "|---|---|", *lines, ""]))


if __name__ == "__main__":
    main()

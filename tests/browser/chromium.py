"""Chromium, started once in a session, and pages in it that keep account of all that a browser complains of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.needed import missing

#: Names of the program on the systems that have it; the first is the smallest.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

#: Comes with what the editor is built with: npm --prefix ui ci
AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1200, "height": 800}


@dataclass
class Seen:
    """A page, and what came of it: complaints of the browser, dialogs, addresses that were asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that a selector finds."""
        found: list[str] = self.page.locator(selector).all_inner_texts()
        return found

    def table(self, title: str) -> list[dict[str, str]]:
        """The rows of the table with this caption, by heading."""
        for table in self.page.get_by_role("table").all():
            if table.locator("caption").inner_text() == title:
                headings = table.get_by_role("columnheader").all_inner_texts()
                rows = table.locator("tbody").get_by_role("row").all()
                cells = [row.locator("th, td").all_inner_texts() for row in rows]
                return [dict(zip(headings, row, strict=True)) for row in cells]
        return []


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser while the block runs; skips, or fails where ``CI`` is set, without one."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the extra browser is not installed: make install-browser")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing("Chromium is not installed: apt-get install chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        try:
            yield browser
        finally:
            browser.close()


def expect(what: Any) -> Any:
    """What is to become true of a part of a page, as Playwright waits for it."""
    from playwright.sync_api import expect as expected

    return expected(what)


def violations(page: Any) -> list[str]:
    """What axe finds wrong with a page for people who do not see it, or not all colours; each in a line."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"() => {{ {AXE.read_text()} }}")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(result => result.violations)")
    return [f"{each['id']}: {each['help']}: {' '.join(map(str, each['nodes'][0]['target']))}" for each in found]


@contextmanager
def looking(browser: Any, **options: Any) -> Iterator[Seen]:
    """A page of its own, with cookies of its own; ``options`` as of a context of Playwright."""
    context = browser.new_context(**{"viewport": DESK, **options})

    def dismissed(dialog: Any) -> None:
        seen.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    try:
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.complaints.append(f"{message.type}: {message.text}"))
        seen.page.on("pageerror", lambda error: seen.complaints.append(f"error: {error}"))
        seen.page.on("dialog", dismissed)
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        yield seen
    finally:
        context.close()

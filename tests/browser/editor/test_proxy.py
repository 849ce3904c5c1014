"""The editor behind nginx, under a path of its own, with the settings that the documents show."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from pypes.testing.node import Node, free_port, running, until
from tests.browser.chromium import Seen, expect, looking
from tests.browser.nodes import graph, load
from tests.browser.test_session import OWN, REFUSED
from tests.needed import missing
from tests.snippets import ROOT, blocks_of

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    base = tmp_path_factory.mktemp("proxied")
    environ = {"PYPES_TOKEN": OWN}
    with running(base, graph(), *load(base), "--proxy", "127.0.0.1", workers=1, instances=1, environ=environ) as node:
        node.headers["Authorization"] = f"Bearer {OWN}"
        yield node


@pytest.fixture
def address(node: Node, tmp_path: Path) -> Iterator[str]:
    """The editor as the proxy shows it."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
    if program is None:
        missing("nginx is not there: apt-get install nginx-light")
        return
    [block] = [each for each in blocks_of((ROOT / "docs" / "editor.md").read_text()) if each.language == "nginx"]
    port = free_port()
    settings = block.text.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("127.0.0.1:8080", f"127.0.0.1:{node.port}")
    paths = "".join(f"{kind}_temp_path {tmp_path / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path / 'pid'}; error_log {tmp_path / 'error'};\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{settings}}}\n"
    )
    process = subprocess.Popen([program, "-e", str(tmp_path / "error"), "-c", str(tmp_path / "nginx.conf")])
    found = f"http://127.0.0.1:{port}/tools/pypes/"
    try:
        until(lambda: answers(node, found), 20, "nginx answers")
        yield found
    finally:
        process.terminate()
        process.wait()


def answers(node: Node, address: str) -> bool:
    try:
        return bool(node.http.request("GET", address + "readyz", timeout=2.0).status == 200)
    except urllib3.exceptions.HTTPError:
        return False


def test_all_is_asked_for_below_the_path(browser: Any, node: Node, address: str) -> None:
    with looking(browser) as seen:
        page = seen.page
        page.goto(address.rstrip("/"))
        page.get_by_label("Token").fill(OWN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="shop").first.click()
        page.locator('.react-flow__node[data-id="judge"]').wait_for()
        assert page.url.startswith(address)
        # events come through while they happen
        rate = page.locator('.react-flow__edge[data-id="json.out judge.in"] .wire-rate', has_text="/s")
        documents = json.dumps([{"n": number} for number in range(50)]).encode()
        until(lambda: node.post(documents, "/docs/shop").status == 202 and rate.count(), 30, "counters move")
        page.get_by_role("link", name="Compose").click()
        page.get_by_role("button", name="Tidy").first.wait_for()
        page.keyboard.press("/")
        page.keyboard.type("Batch")
        page.keyboard.press("Enter")
        page.locator(".saving", has_text="Draft saved").wait_for()
        sign_out(seen)
        expect(page.get_by_label("Token")).to_be_visible()
        assert page.url.startswith(address)
        outside = [each for each in seen.requests if not each.startswith((address, "data:"))]
        assert outside == [address.rstrip("/")]
        assert {*seen.complaints} <= REFUSED


def sign_out(seen: Seen) -> None:
    seen.page.keyboard.press("Escape")
    seen.page.keyboard.press("Control+k")
    seen.page.get_by_role("combobox", name="Search for a command").press_sequentially("Sign out")
    seen.page.keyboard.press("Enter")

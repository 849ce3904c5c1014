"""Values that would do harm if anybody took them for more than text, and what shows that nobody did."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from pypes.testing.node import until

#: Payloads set this in the window, or make elements of this class.
MARK = "pwned"

TEXTS = (
    f"<script>{MARK}=1</script>",
    f"</script></style></title></textarea><script>{MARK}=1</script>",
    f'"><img class="{MARK}" src=x onerror="{MARK}=1">',
    f"' onfocus={MARK}=1 autofocus class='{MARK}",
    f"<svg class={MARK} onload={MARK}=1><use href='data:image/svg+xml,<svg onload={MARK}=1/>'/></svg>",
    f'<iframe class={MARK} srcdoc="<script>parent.{MARK}=1</script>"></iframe>',
    f"<!--<style class={MARK}>*{{display:none}}</style><base href=https://evil.example/>",
    f"&lt;b class={MARK}&gt;&#x3c;script&#x3e;",
    f"javascript:{MARK}=1",
    f"java\tscript:{MARK}=1//",
    f"data:text/html,<script>opener.{MARK}=1</script>",
    "//evil.example/pixel.png",
    "https://evil.example/pixel.png",
    "../../logs?x=1#/repair",
    "%00%zz%E0%A4%A",
    f'{{{{constructor.constructor("{MARK}=1")()}}}}',
    f"${{{MARK}=1}} #{{{MARK}=1}} <%= {MARK}=1 %>",
    f"```\n[a](javascript:{MARK}=1) ![b](https://evil.example/b.png) ``<b class={MARK}>``",
    "\u202egnp.exe\u2066 \u200bzero\u200dwidth\ufeff \u05d0\u05d1\u05d2 \u0627\u0644",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035aalgo",
    "W" * 600,
    "line\nline\r\nline\u2028line",
    "\x1b[31mred\x07\x7f",
    "constructor",
    "hasOwnProperty",
    "__proto__",
)
#: Characters that few ways into a node let through.
NUL = "nul\x00nul"
HALF = "half \ud83d a pair"

COMPONENTS = f"""
from typing import Annotated, Literal

from pypes import Help, Parameters, Reject, Transformer

TEXTS = {TEXTS!r}
ALL = "\\n\\n".join(TEXTS)


class Hostile(Transformer):
    __doc__ = ALL
    # no icon, and something that every object has
    icon = "constructor"
    inputs = {{"in": ALL}}
    outputs = {{"out": ALL}}

    class Params(Parameters):
        text: Annotated[str, Help(ALL)] = TEXTS[0]
        choice: Annotated[Literal[TEXTS[:8]], Help(TEXTS[2])] = TEXTS[3]
        texts: Annotated[list[str], Help(TEXTS[4])] = []
        named: Annotated[dict[str, str], Help(TEXTS[5])] = {{}}

    def process(self, packet):
        bad = packet.get("bad")
        # no POST has such a character
        packet.set("half", {HALF!r})
        self.log.warning("%s", bad or "all is well", extra={{"reason": bad}})
        if bad:
            raise Reject(bad, code=bad)
        return packet


class Vain(Transformer):
    def setup(self):
        raise RuntimeError(ALL)

    def process(self, packet):
        return packet
"""


def named(texts: tuple[str, ...]) -> dict[str, Any]:
    """Each text under itself as the name."""
    return {text: text for text in texts}


def graph(name: str, middle: str, **parts: Any) -> dict[str, Any]:
    """A graph in which hostile texts stand wherever a graph has texts."""
    params = {"text": "\n".join(TEXTS), "texts": list(TEXTS), "named": named(TEXTS)} if middle == "Hostile" else {}
    nodes = {"json": {"component": "JSON"}, "hostile": {"component": middle, "params": params}, "null": {"component": "Null"}}
    return {
        "pypes": 1,
        "name": name,
        "description": "\n".join(TEXTS),
        "routes": [name],
        "nodes": nodes,
        "wires": [["json.out", "hostile.in"], ["hostile.out", "null.in"]],
        "layout": {"json": [0, 0], "hostile": [300, 0], "null": [600, 0]},
        "comments": {f"c{at}": {"text": text, "at": [300 * (at % 4), 200 + 100 * at]} for at, text in enumerate(TEXTS)},
        **parts,
    }


def failing() -> list[dict[str, Any]]:
    """A test of the graph under each text, which fails."""
    return [
        {
            "name": text,
            "post": {"content_type": "application/json", "body": {"title": text}},
            "expect": [{"node": "null", "packets": 1, "fields": {"title": f"no {text}"}}],
        }
        for text in TEXTS
    ]


#: Looks over the whole document: elements that nobody but a payload would make, and addresses of other schemes.
_FOUND = r"""mark => {
  const found = [];
  const outline = element => element.outerHTML.slice(0, 80);
  if (mark in window) found.push("a payload ran");
  if (({})[mark] !== undefined) found.push("Object.prototype was changed");
  const foreign = ["img", "iframe", "object", "embed", "base", "link", "script", "style", "meta"];
  const addresses = ["href", "src", "action", "formaction", "xlink:href", "data", "poster", "ping"];
  const ours = new URL("static/", location.href).href;
  for (const each of document.body.querySelectorAll("*")) {
    const name = each.localName;
    if (foreign.includes(name) && !(name === "script" && each.src.startsWith(ours))) found.push(outline(each));
    if (each.classList.contains(mark)) found.push(`made of a payload: ${outline(each)}`);
    for (const { name: attribute, value } of each.attributes) {
      if (attribute.startsWith("on") || attribute === "srcdoc") found.push(`${attribute} of ${outline(each)}`);
      if (!addresses.includes(attribute) || value.startsWith("#")) continue;
      const { protocol, origin } = new URL(value, document.baseURI);
      const isLeading = name === "a" && each.rel.includes("noopener");
      if (!["http:", "https:"].includes(protocol)) found.push(`${attribute}=${value}`);
      else if (origin !== location.origin && !isLeading) found.push(`leads elsewhere: ${value}`);
    }
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { parentElement: parent, textContent: text } = texts.currentNode;
    const { display, unicodeBidi } = getComputedStyle(parent);
    const isAlone = unicodeBidi.includes("isolate") || !display.startsWith("inline");
    const isAll = parent.textContent === parent.parentElement.textContent;
    if (/[\u202a-\u202e]/.test(text) && !isAlone && !isAll) found.push(`turns what is beside it: ${outline(parent)}`);
  }
  const main = document.querySelector("main");
  if (main.scrollWidth > document.documentElement.clientWidth) found.push(`${main.scrollWidth} pixels wide`);
  return found;
}"""

#: Looks for texts among all that is shown, entered or described; long ones may be cut.
_MISSED = r"""texts => {
  const plain = text => text.replace(/\s+/g, " ").trim();
  const seen = [document.body.textContent];
  for (const each of document.querySelectorAll("input, textarea, option")) seen.push(each.value);
  for (const each of document.querySelectorAll("[title]")) seen.push(each.title);
  for (const each of document.querySelectorAll("[aria-label]")) seen.push(each.getAttribute("aria-label"));
  const all = plain(seen.join(" "));
  const isSeen = text => all.includes(plain(text)) || all.includes(plain(JSON.stringify(text).slice(1, -1)));
  return JSON.parse(texts).filter(text => !isSeen(text) && !(text.length > 60 && isSeen(text.slice(0, 40))));
}"""


def harm(page: Any) -> list[str]:
    """What on a page is more than text; empty if nothing is."""
    found: list[str] = page.evaluate(_FOUND, MARK)
    return found


def missed(page: Any, texts: tuple[str, ...] = TEXTS) -> list[str]:
    """Those of the texts that a page does not show, once it has had the time to ask for all of them."""
    found: list[str] = []

    def is_all_there() -> bool:
        # as ASCII, for halves of pairs are nothing that can be sent to a browser
        found[:] = page.evaluate(_MISSED, json.dumps(texts))
        return not found

    with suppress(AssertionError):
        until(is_all_there, 20, "all of them are shown")
    return found

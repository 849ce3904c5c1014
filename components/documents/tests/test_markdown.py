"""Markdown."""

from __future__ import annotations

import pytest

from pypes.testing import ComponentSuite
from pypes_documents.markdown_adapter import Markdown

from .reading import outline, read, refused

TEXT = """---
title: "On looms"
authors: [Ada, 'Luigi']
date: 2026-11-29
tags:
  - loom
  - card
nested: {a: b}
---
Looms
=====

Cards *choose* the `threads`,
or <b>do</b> they? ![a picture](x.png) [See](https://example.org/), [here](#below).

- one
  - two

    more
1. three

> said

| name | cm |
|------|----|
| pirn | 3  |

```python
x = 1

y = 2
```

<div><p>in a page</p></div>

### Below
"""


class TestMarkdown(ComponentSuite):
    component = Markdown

    def test_structure_and_head(self) -> None:
        packet = read(Markdown, TEXT.encode())
        assert outline(packet) == [
            "heading1: Looms",
            "paragraph: Cards choose the threads,\nor do they? a picture See, here.",
            "item1: one",
            "item2: two",
            "paragraph: more",
            "item1: three",
            "quote: said",
            "table: [['name', 'cm'], ['pirn', '3']]",
            "code: x = 1\n\ny = 2",
            "paragraph: in a page",
            "heading3: Below",
        ]
        del packet["text"]
        assert packet.get_attributes() == {
            "title": ["On looms"],
            "author": ["Ada", "Luigi"],
            "created": ["2026-11-29"],
            "keywords": ["loom", "card"],
            "links": ["https://example.org/"],
        }

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("---\n\nOne.\n\n---\n\nTwo.", "One.\n\nTwo."),
            ("---\nNote: a rule, and a heading below\n---\n\nTwo.", "Note: a rule, and a heading below\n\nTwo."),
            ("---\ntitle: x\nA line that is no entry.\n---\nTwo.", "title: x\nA line that is no entry.\n\nTwo."),
            ("---\n- title: x\n---\nTwo.", "title: x\n\nTwo."),
            ("---\n---\nTwo.", "Two."),
            ("---\ntitle: x", "title: x"),
            ("---\ntitle: x\n# of mine\nlayout: post\n\nmore:\n  - a\nempty: []\n...\nTwo.", "Two."),
        ],
    )
    def test_a_rule_at_the_top_is_no_head(self, source: str, text: str) -> None:
        assert read(Markdown, source.encode())["text"] == text

    def test_entries_over_several_lines(self) -> None:
        head = "---\ntitle: >-\n  On\n  looms\ndescription: |\n  One.\n\n  Two.\ntags:\n- a\n- b\n---\ntext"
        packet = read(Markdown, head.encode())
        assert (packet["title"], packet["description"], packet.get_attributes()["keywords"]) == (
            "On looms",
            "One. Two.",
            ["a", "b"],
        )

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("one<br>two", "one\ntwo"),
            ("one<BR />two", "one\ntwo"),
            ("<b>W</b>elcome<wbr>s<!-- c --> here", "Welcomes here"),
            ("one<div>two</div>three", "one two three"),
            ("a&nbsp;<span title='x'>b</span>", "a\xa0b"),
        ],
    )
    def test_markup_within_a_line(self, source: str, text: str) -> None:
        assert read(Markdown, source.encode())["text"] == text

    def test_titles_and_empty_files(self) -> None:
        assert read(Markdown, b"# Looms\n\ntext\n\n## Parts")["title"] == "Looms"
        assert not read(Markdown, b"# Looms\n\n# Parts").has("title")
        assert read(Markdown, b"---\n\ntext")["text"] == "text"
        assert refused(Markdown, b"---\ntitle: x\n---\n")[0] == "document.no_text"

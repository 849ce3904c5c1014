"""XML."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.errors import InvalidInput
from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes_documents.xml_adapter import XML

from .reading import outline, read, refused

BOOK = b"""<book xml:lang="en"><title>Looms</title><!-- no --><chapter><title>Parts</title><p>A <b>pirn</b> &amp; more.</p>
<list><item>one</item><item>two</item></list></chapter></book>"""
ORDERS = b"""<orders xmlns="urn:orders"><order id="1"><sum>3.50</sum><tag>a</tag><tag>b</tag></order>
<order id="2"><sum/></order></orders>"""
PARAMS: dict[str, Any] = {
    "rows": "//o:order",
    "fields": {"number": "@id", "sum": "./o:sum", "tags": "o:tag", "count": "count(o:tag)"},
    "namespaces": {"o": "urn:orders"},
}


class TestXML(ComponentSuite):
    component = XML

    def test_text(self) -> None:
        packet = read(XML, BOOK)
        assert outline(packet) == [
            "heading1: Looms",
            "heading2: Parts",
            "paragraph: A pirn & more.",
            "paragraph: one",
            "paragraph: two",
        ]
        assert (packet["title"], packet["language"]) == ("Looms", "en")

    def test_fields_by_xpath(self) -> None:
        result = run_component(XML, [Packet({"data": ORDERS}, {"id": "7"})], **PARAMS)
        assert [packet.get_attributes() for packet in result.packets] == [
            {"number": ["1"], "sum": ["3.50"], "tags": ["a", "b"], "count": ["2"]},
            {"number": ["2"], "count": ["0"]},
        ]
        assert [packet.id for packet in result.packets] == ["7/row=1", "7/row=2"]
        one = read(XML, BOOK, fields={"name": "//chapter/title", "is_book": "boolean(/book)"})
        assert one.get_attributes() == {"name": ["Parts"], "is_book": ["true"]}

    @pytest.mark.parametrize(
        ("rule", "found"),
        [
            ({"path": "//tag"}, ["a", "b"]),
            ({"path": "//tag", "mode": "first"}, ["a"]),
            ({"path": "//tag", "mode": "append"}, ["a b a"]),
            ({"path": "//tag", "mode": "multi"}, ["a", "b", "a"]),
            ({"path": "//one", "mode": "multi"}, ["1"]),
            ({"path": "//one/@size"}, ["3"]),
            ({"path": "//no", "default": "none"}, ["none"]),
            ({"path": "//no", "mode": "multi", "default": "none"}, ["none"]),
            ({"path": "//no", "mode": "append"}, None),
        ],
    )
    def test_rules(self, rule: dict[str, str], found: list[str] | None) -> None:
        data = b"<x><tag>a</tag><tag>b</tag><tag>a</tag><one size='3'>1</one></x>"
        packet = read(XML, data, fields={"f": rule, "there": "//one"})
        assert packet.get_attributes().get("f") == found
        assert packet.is_multivalued("f") == (rule.get("mode") == "multi" or found == ["a", "b"])

    def test_defaults_alone_are_nothing_that_was_found(self) -> None:
        code, reason = refused(XML, BOOK, fields={"f": {"path": "//nothing", "default": "none"}})
        assert (code, "none of f is found" in reason) == ("document.no_text", True)

    def test_one_row_without_fields_costs_no_other(self) -> None:
        params: dict[str, Any] = {"rows": "//a", "fields": {"b": "b"}}
        result = run_component(XML, [Packet({"data": b"<x><a><b>1</b></a><a/><a><b>3</b></a></x>"})], **params)
        assert [packet["b"] for packet in result.packets] == ["1", "3"]
        (letter,) = result.dead_letters
        assert letter.code == "document.no_text"
        assert "1 of 3 rows in it cannot be read; what could be read was sent on: row=2: none of b" in letter.error

    @pytest.mark.parametrize(
        ("data", "params", "code", "reason"),
        [
            (b"<a><b/></a>", {}, "document.no_text", "only elements"),
            (b"<a>", {}, "document.malformed", "Premature end"),
            (BOOK, {"fields": {"x": "//nothing"}}, "document.no_text", "none of x is found"),
            (BOOK, {**PARAMS}, "document.no_text", "no element of the XML is //o:order"),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, params: dict[str, Any], code: str, reason: str) -> None:
        found = refused(XML, data, **params)
        assert found[0] == code
        assert reason in found[1]

    @pytest.mark.parametrize(
        ("params", "reason"),
        [
            ({"fields": {"x": "//"}}, "x: '//' is no XPath"),
            ({"rows": "//a"}, "rows needs fields"),
            ({"fields": {"x": {"path": "//"}}}, "x: '//' is no XPath"),
            ({"fields": {"x": {"path": "a", "mode": "last"}}}, "Invalid enum value 'last'"),
            ({"fields": {"x": {"path": "a", "sort": "yes"}}}, "unknown field `sort`"),
            ({"fields": {"x": "a"}, "map": "map.xml"}, "leave fields, rows and namespaces out, or map"),
            ({"fields": {"x": "a:b"}}, "x: 'a:b' cannot be evaluated: Undefined namespace prefix"),
            ({"fields": {"x": "nothing(.)"}}, "x: 'nothing\\(.\\)' cannot be evaluated: Unregistered function"),
            ({"fields": {"x": "$y"}}, "x: '.y' cannot be evaluated: Undefined variable"),
            ({"fields": {"x": "."}, "rows": "a:b"}, "rows: 'a:b' cannot be evaluated: Undefined namespace prefix"),
            ({"fields": {"x": "."}, "rows": "count(//a)"}, "rows: 'count\\(//a\\)' finds no elements"),
        ],
    )
    def test_parameters(self, params: dict[str, Any], reason: str) -> None:
        with pytest.raises(InvalidInput, match=reason):
            XML().configure(params)

    @pytest.mark.parametrize(
        ("path", "values"),
        [
            ("//namespace::*[name()='o']", ["urn:orders"]),
            ("//processing-instruction()", ["way=1"]),
            ("//text()", ["a"]),
            ("1 div 0", ["inf"]),
            ("''", None),
        ],
    )
    def test_whatever_an_xpath_finds(self, path: str, values: list[str] | None) -> None:
        data = b"<x xmlns:o='urn:orders'><?go way=1?>a</x>"
        if values is None:
            assert refused(XML, data, fields={"f": path})[0] == "document.no_text"
            return
        assert read(XML, data, fields={"f": path}).get_attributes() == {"f": values}

    def test_an_xpath_that_fails_in_some_documents(self) -> None:
        # only where there is a <b> is the prefix looked at
        fields = {"t": "//t", "f": "//b[o:c]"}
        assert read(XML, b"<a><t>x</t></a>", fields=fields)["t"] == "x"
        code, reason = refused(XML, b"<a><b/></a>", fields=fields)
        assert code == "xml.xpath"
        assert "f: '//b[o:c]' cannot be evaluated: Undefined namespace prefix" in reason

    @pytest.mark.parametrize(
        "data",
        [
            b'<!DOCTYPE a [<!ENTITY x "boom"><!ENTITY y "' + b"&x;" * 1000 + b'">]><a>' + b"&y;" * 1000 + b"</a>",
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            b"<a>" * 300_000,
        ],
        ids=["laughs", "outside", "depth"],
    )
    def test_hostile(self, data: bytes) -> None:
        code, reason = refused(XML, data)
        assert code in ("document.malformed", "document.no_text")
        assert "root:" not in reason

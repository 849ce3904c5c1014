"""Maps of the original Pypes, and XML in a field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pypes.errors import ComponentError, InvalidInput
from pypes.packet import Packet
from pypes.testing import ComponentSuite, Result, run_component
from pypes_documents.xml_adapter import XML
from pypes_documents.xml_map import rules_of
from pypes_documents.xml_map_transformer import XMLMap
from tests.packets import Bytes

#: The map that came with the original, shortened.
SAMPLE = """<!-- Sample -->
<attributemap>
    <attribute name='id'    path='//documents/document/id'             mode='first'  comp='false' />
    <attribute name='title' path='//documents/document/title'          mode='first'  comp='false' />
    <attribute name='langs' path='//documents/document/languages/lang' mode='multi'  comp='false' />
    <attribute name='body'  path='//documents/document/para'           mode='append' comp='false' />
    <attribute name='kind'  path='//documents/document/@kind' />
    <attribute name='none'  path='//documents/document/none'           mode='first'  comp='false' />
</attributemap>"""
DOCUMENTS = """<documents>
<document kind='book'><id>1</id><title>Looms</title><languages><lang>de</lang></languages><para>A <b>pirn</b>.</para>
<para>More.</para></document>
<document kind='page'><id>2</id><title>Cards</title></document></documents>"""
ONE = {"id": ["1"], "title": ["Looms"], "langs": ["de"], "body": ["A pirn. More."], "kind": ["book"]}


def mapped(text: str, given: str, folder: Path, **params: Any) -> Result:
    """What comes of XML with a map."""
    (folder / "map.xml").write_text(given, encoding="utf-8")
    component = XML()
    component.data_dir = str(folder)
    component.configure({"map": "map.xml", **params})
    return run_component(component, [Packet({"data": text.encode()}, {"id": "7"})])


def test_a_map_for_one_document(tmp_path: Path) -> None:
    (packet,) = mapped(DOCUMENTS, SAMPLE, tmp_path).packets
    assert packet.get_attributes() == ONE
    assert packet.is_multivalued("langs")
    assert not packet.is_multivalued("title")


@pytest.mark.parametrize("strip", ["//documents/document/", ""])
def test_a_map_with_a_docroot(strip: str, tmp_path: Path) -> None:
    given = SAMPLE.replace("<attributemap>", "<attributemap docroot='//documents/document'>").replace(strip, strip and "")
    result = mapped(DOCUMENTS, given, tmp_path)
    assert [packet.id for packet in result.packets] == ["7/row=1", "7/row=2"]
    assert [packet.get_attributes() for packet in result.packets] == [
        ONE,
        {"id": ["2"], "title": ["Cards"], "kind": ["page"]},
    ]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("//root/{urn:o}a/{urn:o}b", ["x", "y"]),
        ("//root/{urn:o}a/{urn:o}b/@{urn:p}n", ["1"]),
        ("//root/{urn:o}a/{urn:o}*", ["x", "y"]),
        ("//root/{urn:o}a/{urn:o}", ["x", "y"]),
        ("//root/*/@id", ["7", "8"]),
        ('//root/c[@id=="8"]', ["z"]),
        ("//root/c[@id<9]", ["z"]),
        ("//root/c[starts-with(@id, '8/')]", None),
        ("//other/c", ["z"]),
        ("c", ["z"]),
        ("./c", ["z"]),
        ("//root", ["x y z"]),
    ],
)
def test_paths(path: str, found: list[str] | None, tmp_path: Path) -> None:
    data = "<root xmlns:o='urn:o' xmlns:p='urn:p'><o:a id='7'><o:b p:n='1'>x</o:b> <o:b>y</o:b> </o:a><c id='8'>z</c></root>"
    path = path.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    result = mapped(data, f'<map><meta name="f" path="{path}" mode="multi"/></map>', tmp_path)
    if found is None:
        assert [letter.code for letter in result.dead_letters] == ["document.no_text"]
    else:
        assert result.packets[0].get_attributes() == {"f": found}


RULE = "<m><r name='a' path='//x/a'/><r {}/></m>"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("<m", "the map is no XML: "),
        ("<m/>", "the map has no rules"),
        (RULE.format("path='//x/b'"), "rule 2: it has no name"),
        (RULE.format("name='b'"), r"rule 2 \(b\): it has no path"),
        (RULE.format("name='b' path='//x/b' mode='last'"), r"rule 2 \(b\): mode 'last' is unknown; it is first, append or multi"),
        (RULE.format("name='b' path='//x/b' comp='true'"), r"rule 2 \(b\): comp packed the field"),
        (RULE.format("name='b' path='//x/b' sort='no'"), r"rule 2 \(b\): sort is unknown; a rule has comp, mode, name, path"),
        (RULE.format("name='a' path='//x/b'"), r"rule 2 \(a\): another rule has this name"),
        (RULE.format("name='b' path='//x/{u'"), r"rule 2 \(b\): '{u' is no step of a path"),
        (RULE.format("name='b' path='//x/b[@id.startswith(&quot;A&quot;)]'"), r"rule 2 \(b\): .* is no XPath"),
        (RULE.format("name='b' path='//x/b[@id==A]'").replace("<m>", "<m docroot='//x/y['>"), "docroot: 'y\\[' is no step"),
        (RULE.format("name='b' path='//x//b'"), r"rule 2 \(b\): '//x//b' has // within"),
        (RULE.format("name='b' path='//x[y/b'"), r"rule 2 \(b\): 'x\[y' is no step"),
        (RULE.format("name='b' path='/'"), r"rule 2 \(b\): '/' has no step"),
        ("<m docroot='//p[q'><r name='a' path='a'/></m>", r"docroot: 'p\[q' is no step"),
        ("<m docroot='/'><r name='a' path='a'/></m>", "docroot: '/' has no step"),
        ("<m docroot='//p//q'><r name='a' path='a'/></m>", "docroot: '//p//q' has // within"),
    ],
)
def test_a_rule_that_is_none_is_named(given: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rules_of(given.encode())


@pytest.mark.parametrize(
    ("given", "reason"), [("<m/>", "the map has no rules"), ("x" * (2 << 20), "longer than 1048576"), (None, "No such file")]
)
def test_a_map_that_cannot_be_used_is_told_of_at_set_up(given: str | None, reason: str, tmp_path: Path) -> None:
    component = XML()
    component.data_dir = str(tmp_path)
    component.configure({"map": "map.xml"})
    if given is not None:
        (tmp_path / "map.xml").write_text(given)
    with pytest.raises(ComponentError, match=f"map map.xml cannot be used: .*{reason}"):
        component.setup()


class TestXMLMap(ComponentSuite):
    component = XMLMap
    params: ClassVar[dict[str, Any]] = {"fields": {"n": "."}}

    @pytest.mark.parametrize(
        "value",
        [
            "<?xml version='1.0' encoding='iso-8859-1'?><a><b>grün</b></a>",
            "<?xml version='1.0' encoding='iso-8859-1'?><a><b>grün</b></a>".encode("latin-1"),
        ],
        ids=["text", "bytes"],
    )
    def test_xml_in_a_field(self, value: str | bytes) -> None:
        packet = Packet({"raw": value, "shelf": "B1"})
        (found,) = run_component(XMLMap, [packet], field="raw", fields={"colour": "//b"}).packets
        assert found.get_attributes() == {"colour": ["grün"], "shelf": ["B1"]}

    def test_rows_have_the_other_fields(self) -> None:
        packet = Packet({"xml": "<a><b>1</b><b>2</b><b/></a>", "shelf": "B1"}, {"id": "7"})
        packet.set("tags", ["x"], multi=True)
        result = run_component(XMLMap, [packet], rows="//b", fields={"n": "."})
        assert [(found.id, found["n"], found["shelf"], found.is_multivalued("tags")) for found in result.packets] == [
            ("7/row=1", "1", "B1", True),
            ("7/row=2", "2", "B1", True),
        ]
        assert "1 of 3 rows in it cannot be read; what could be read was sent on: row=3: " in result.dead_letters[0].error

    def test_the_other_fields_count_in_each_row(self) -> None:
        packet = Packet({"xml": "<a>" + "<b>1</b>" * 100 + "</a>", "long": "x" * 10_000})
        result = run_component(XMLMap, [packet], rows="//b", fields={"n": "."}, max_unpacked_bytes=500_000)
        assert len(result.packets) == 49
        (letter,) = result.dead_letters
        assert letter.code == "document.too_large"
        assert "rows with all their fields are longer than max_unpacked_bytes (500000); raise it or split it" in letter.error

    def test_rows_are_bounded(self) -> None:
        packet = Packet({"xml": "<a><b>1</b><b/><b>2</b></a>"})
        result = run_component(XMLMap, [packet], rows="//b", fields={"n": "."}, max_parts=2)
        assert [found["n"] for found in result.packets] == ["1"]
        (letter,) = result.dead_letters
        assert "there are more than max_parts (2) parts in it; raise it or split it" in letter.error

    def test_what_has_no_xml_passes(self) -> None:
        packets = [Packet({"a": 1}), Packet(meta={"requestmethod": "DELETE", "id": "7"})]
        assert run_component(XMLMap, packets, fields={"n": "."}).packets == packets

    @pytest.mark.parametrize(
        ("xml", "params", "code"),
        [
            ("<a>", {}, "document.malformed"),
            ("", {}, "document.malformed"),
            ("<a/>", {}, "document.no_text"),
            ("<a>x</a>", {"max_bytes": 1}, "document.too_large"),
        ],
    )
    def test_what_cannot_be_read(self, xml: str, params: dict[str, Any], code: str) -> None:
        result = run_component(XMLMap, [Packet({"xml": xml})], fields={"n": "."}, **params)
        assert [letter.code for letter in result.dead_letters] == [code]

    @pytest.mark.parametrize(
        ("value", "multi", "reason"),
        [
            (["<a>1</a>", "<a>2</a>"], True, "field xml has 2 values, of which only one could be read; put Each before it"),
            (["<a>1</a>"], False, "field xml holds list; give it XML as text or bytes"),
            (7, False, "field xml holds int; give it XML as text or bytes"),
            (0.5, False, "field xml holds float; give it XML as text or bytes"),
            (True, False, "field xml holds bool; give it XML as text or bytes"),
            ({"a": 1}, False, "field xml holds dict; give it XML as text or bytes"),
        ],
    )
    def test_a_field_that_holds_anything_else(self, value: Any, multi: bool, reason: str) -> None:
        packet = Packet({"shelf": "B1"})
        packet.set("xml", value, multi=multi)
        result = run_component(XMLMap, [packet], fields={"n": "."})
        assert not result.packets
        (letter,) = result.dead_letters
        assert letter.code == "xml.field"
        assert reason in letter.error

    def test_a_body(self) -> None:
        packet = Packet({"xml": Bytes(b"<a>1</a>")})
        assert run_component(XMLMap, [packet], fields={"n": "."}).packets[0].get_attributes() == {"n": ["1"]}

    def test_the_only_value_of_a_list(self) -> None:
        packet = Packet({"shelf": "B1"})
        packet.set("xml", ["<a>1</a>"], multi=True)
        assert run_component(XMLMap, [packet], fields={"n": "."}).packets[0].get_attributes() == {"n": ["1"], "shelf": ["B1"]}

    def test_it_needs_rules(self) -> None:
        with pytest.raises(InvalidInput, match="give rules: fields, or map"):
            XMLMap().configure({})

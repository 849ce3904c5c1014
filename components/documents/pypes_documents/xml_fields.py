"""Fields that rules find in XML by XPath, in one packet or in one for each of some elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lxml import etree

from pypes import Packet, Reject
from pypes_documents.job import NO_TEXT, Job, Unread, put_facts
from pypes_documents.xml_rule import Mode, Rule


class Path:
    """An XPath that is used for many documents."""

    def __init__(self, name: str, path: str, namespaces: Mapping[str, str]) -> None:
        """``name`` says what it is for. Raises ``ValueError`` if it is none, or cannot be evaluated."""
        self._what = f"{name}: {path!r}"
        self.path = path
        try:
            self._find = etree.XPath(path, namespaces=dict(namespaces) or None, smart_strings=False)
        except (etree.XPathError, TypeError, ValueError) as error:
            raise ValueError(f"{self._what} is no XPath: {error}") from error
        try:
            #: The result for a document with nothing in it.
            self.of_nothing = self(etree.Element("nothing"))
        except Reject as error:
            raise ValueError(str(error)) from error

    def __call__(self, element: Any) -> Any:
        """The elements, attributes, texts, or the one value that it finds. Raises ``Reject`` where it cannot be evaluated."""
        try:
            return self._find(element)
        except etree.XPathError as error:  # also for prefixes, variables and functions that nobody has declared
            raise Reject(f"{self._what} cannot be evaluated: {error}", "xml.xpath") from error


class Field(NamedTuple):
    """A rule, ready to be used."""

    path: Path
    mode: Mode
    default: str

    def values(self, element: Any) -> list[str]:
        """The values that are found below an element, without the default."""
        found = _values(self.path(element))
        if self.mode == "first":
            return found[:1]
        return [" ".join(found)] if found and self.mode == "append" else found


class Rules(NamedTuple):
    """The fields that are looked for, and the elements in each of which they are; ``None`` for the whole document."""

    fields: Mapping[str, Field]
    rows: Path | None = None


def compiled(fields: Mapping[str, str | Rule], rows: str, namespaces: Mapping[str, str], named: Mapping[str, str]) -> Rules:
    """The rules with their XPath, ready to be used; ``named`` has other names for rules in errors.

    Raises ``ValueError`` that names the rule whose XPath is none, or cannot be evaluated.
    """
    made: dict[str, Field] = {}
    for name, given in fields.items():
        rule = given if isinstance(given, Rule) else Rule(path=given)
        made[name] = Field(Path(named.get(name, name), rule.path, namespaces), rule.mode, rule.default)
    if not rows:
        return Rules(made)
    found = Path("rows", rows, namespaces)
    if not isinstance(found.of_nothing, list):
        raise ValueError(f"rows: {rows!r} finds no elements, but a value")
    return Rules(made, found)


def find(packet: Packet, root: Any, rules: Rules, job: Job) -> Iterator[Packet | Unread]:
    """The packet with the fields that are found in a document, or with ``rows``, a part for each element that these give.

    Parts have the fields that the packet has, which count against the bounds of the job with each of them.
    """
    if rules.rows is None:
        _put_found(packet, root, rules.fields)
        yield packet
        return
    found = [element for element in rules.rows(root) if isinstance(getattr(element, "tag", None), str)]
    if not found:
        raise Reject(f"no element of the XML is {rules.rows.path}", NO_TEXT)
    for number, element in enumerate(found, 1):
        row = packet.derive("row", number, meta={"row": number})
        for name in packet.get_attribute_names():
            row.set(name, packet.get(name), multi=packet.is_multivalued(name))
        try:
            _put_found(row, element, rules.fields)
        except Reject as fault:
            job.begin_part()
            yield Unread(row.part, fault)
        else:
            job.begin_row(row)
            yield row


def _put_found(packet: Packet, element: Any, fields: Mapping[str, Field]) -> None:
    """Set the fields that are found below an element. Defaults alone are nothing that was found."""
    found = {name: field.values(element) for name, field in fields.items()}
    if not any(found.values()):
        raise Reject(f"none of {', '.join(fields)} is found in the XML", NO_TEXT)
    for name, field in fields.items():
        values = found[name] or ([field.default] if field.default else [])
        if field.mode == "multi" and values:
            packet.set(name, values, multi=True)
        else:
            put_facts(packet, {name: values[0] if len(values) == 1 else values})


def _values(found: Any) -> list[str]:
    """The texts of what an XPath has found: elements, attributes, texts, or one number, text or truth."""
    if not isinstance(found, list):
        if isinstance(found, bool):
            return [str(found).lower()]
        found = [format(found, ".15g") if isinstance(found, float) else found]
    return [value for each in found if (value := " ".join(_text(each).split()))]


def _text(found: Any) -> str:
    if isinstance(found, str):
        return found
    if isinstance(found, tuple):  # a namespace: prefix and address
        return found[1] or ""
    return "".join(found.itertext()) if isinstance(found.tag, str) else found.text or ""

"""Maps of the original Pypes: the rules of its XML and XMLMapper, in a file of XML.

``<attributemap docroot="//documents/document"><attribute name="title" path="title" mode="first" comp="false"/>…``: the names
of the elements are anything. Paths are those of its own reader of paths: names and ``*``, which may have their namespace in
braces, with an attribute at the end. Without ``docroot`` they begin at the root, whatever its name (``//root/a/b``); with one,
they begin at each of the elements that it finds.
"""

from __future__ import annotations

import re
from typing import Any, Final

from lxml import etree

from pypes_documents.safe_xml import OPTIONS
from pypes_documents.xml_fields import Rules, compiled
from pypes_documents.xml_rule import Mode, Rule

#: Mode there → here.
_MODES: Final[dict[str | None, Mode]] = {None: "first", "first": "first", "append": "append", "multi": "multi"}
_KNOWN: Final = {"name", "path", "mode", "comp"}
#: A step up to the next ``/``, which may be part of a namespace or a condition.
_STEP: Final = re.compile(r"(?:\{[^}]*\}|\[[^\]]*\]|[^/])+")
#: Sign of an attribute, namespace, name and condition of a step.
_Step = tuple[str | None, ...]
_PARTS: Final = re.compile(r"(@?)(?:\{([^}]*)\})?([^\[\]{}@]*)(\[.*\])?", re.DOTALL)


def rules_of(data: bytes) -> Rules:
    """The rules of a map. Raises ``ValueError`` that names the rule that is at fault, and says what to do."""
    try:
        root = etree.fromstring(data, etree.XMLParser(**OPTIONS, remove_comments=True, remove_pis=True))
    except etree.XMLSyntaxError as error:
        raise ValueError(f"the map is no XML: {error}") from error
    reader = _Reader(root.get("docroot", ""))
    fields: dict[str, str | Rule] = {}
    named: dict[str, str] = {}
    for number, element in enumerate(root.iterchildren("*"), 1):
        name, rule = reader.rule(number, element)
        if name in fields:
            raise ValueError(f"rule {number} ({name}): another rule has this name; put both paths into one: a | b")
        fields[name], named[name] = rule, f"rule {number} ({name})"
    if not fields:
        raise ValueError("the map has no rules: elements with name and path")
    return compiled(fields, reader.rows, reader.namespaces, named)


class _Reader:
    """Makes rules of today of those of a map."""

    def __init__(self, docroot: str) -> None:
        #: Prefixes that are made up here, and the namespaces that paths name in braces.
        self.namespaces: dict[str, str] = {}
        self._docroot = _steps("docroot", docroot) if docroot else []
        self.rows = "/".join(("/*", *self._xpath(self._docroot[1:]))) if self._docroot else ""

    def rule(self, number: int, element: Any) -> tuple[str, Rule]:
        name = element.get("name") or ""
        what = f"rule {number} ({name})" if name else f"rule {number}"
        for needed in ("name", "path"):
            if not element.get(needed):
                raise ValueError(f"{what}: it has no {needed}")
        if unknown := {*element.keys()} - _KNOWN:
            raise ValueError(f"{what}: {', '.join(sorted(unknown))} is unknown; a rule has {', '.join(sorted(_KNOWN))}")
        if element.get("comp", "false").lower() != "false":
            raise ValueError(f"{what}: comp packed the field, which nothing here unpacks; leave comp out")
        mode = element.get("mode")
        if mode not in _MODES:
            raise ValueError(f"{what}: mode {mode!r} is unknown; it is first, append or multi")
        return name, Rule(path=self._path(what, element.get("path")), mode=_MODES[mode])

    def _path(self, what: str, path: str) -> str:
        steps = _steps(what, path)
        if self._docroot and steps[: len(self._docroot)] == self._docroot:
            steps = steps[len(self._docroot) :]
        elif not self._docroot:
            # as there: the first step of a path that begins at the root is the root itself
            steps = steps[1:] if path.startswith(("/", "./")) else steps
        found = self._xpath(steps)
        return "/".join(found) if self._docroot else "/".join(("/*", *found))

    def _xpath(self, steps: list[_Step]) -> list[str]:
        """Steps as XPath has them; ``.`` if there are none."""
        return [self._step(*step) for step in steps] or (["."] if self._docroot else [])

    def _step(self, at: str | None, namespace: str | None, name: str | None, condition: str | None) -> str:
        prefix = ""
        if namespace:
            taken = {uri: prefix for prefix, uri in self.namespaces.items()}
            prefix = taken.get(namespace) or f"n{len(taken) + 1}"
            self.namespaces[prefix] = namespace
        # conditions were of Python there: those that compare are the same in XPath, but for one sign
        return f"{at}{prefix}{':' if prefix else ''}{name or '*'}{(condition or '').replace('==', '=')}"


def _steps(what: str, path: str) -> list[_Step]:
    """The steps of a path. Raises ``ValueError`` for one that is none, is empty, or where there are none at all."""
    found = _STEP.findall(path)
    if not found:
        raise ValueError(f"{what}: {path!r} has no step; a path is names between /")
    if "/".join(found) != path.strip("/"):
        raise ValueError(f"{what}: {path!r} has // within, which is for the beginning; name the elements between")
    steps: list[_Step] = []
    for step in found:
        parts = _PARTS.fullmatch(step)
        if parts is None:
            raise ValueError(
                f"{what}: {step!r} is no step of a path; it is a name, * or @name, with {{namespace}} before the name"
            )
        steps.append(parts.groups())
    return steps

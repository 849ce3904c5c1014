"""The plugins of the original Pypes: which component does their work here, and how the parameters are called there and here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

Params = dict[str, Any]

_MODES: Mapping[str, str] = MappingProxyType({"Abort": "keep", "Append": "append", "Overwrite": "overwrite"})
_CASES: Mapping[str, str] = MappingProxyType({"lowercase": "lower", "UPPERCASE": "upper", "TitleCase": "title"})
_MAP_NOTE = "`map` is a file from the data directory, read at set-up; fields of which nothing is found are left out"
#: The word of the original's DropDocument for any value.
_ANY = "_any_"


def _as_it_is(params: Params) -> list[Params]:
    return [params]


def _same(params: Params) -> Params:
    return params


class Plugin(NamedTuple):
    """A plugin of the original.

    ``component`` is its counterpart, empty where there is none yet: ``note`` says what to do then, otherwise what is different.
    ``read`` gives the parameters of one filter or, where a plugin did at once what takes several here, of each of them in a row;
    ``write`` is the way back. Both leave alone what they do not know. ``options`` are the choices that the editor offered,
    ``params`` all that it had.
    """

    kind: str
    component: str = ""
    note: str = ""
    read: Callable[[Params], list[Params]] = _as_it_is
    write: Callable[[Params], Params] = _same
    options: Mapping[str, list[str]] = MappingProxyType({})
    params: tuple[str, ...] = ()


def _renamed(names: Mapping[str, str], value: Any) -> Any:
    """The present name of a choice of the original; any other value, of whatever type, stays."""
    return names.get(value, value) if isinstance(value, str) else value


def _split(text: Any, separator: str = ",") -> Any:
    """The names in a text, stripped; what is no text was none of the original's, and stays."""
    return [part.strip() for part in text.split(separator) if part.strip()] if isinstance(text, str) else text


def _join(values: Any, separator: str = ",") -> Any:
    return separator.join(map(str, values)) if isinstance(values, list) else values


def _read_fields(params: Params) -> list[Params]:
    return [{name: _split(value) if name == "fields" else value for name, value in params.items()}]


def _write_fields(params: Params) -> Params:
    return {name: _join(value) if name == "fields" else value for name, value in params.items()}


def _read_table(params: Params) -> list[Params]:
    return [{"header": "absent", **params}]  # there, the first row was data like the others


def _write_table(params: Params) -> Params:
    return {name: value for name, value in params.items() if (name, value) != ("header", "absent")}


def _read_case(params: Params) -> list[Params]:
    (read,) = _read_fields(params)
    if "operation" in read:
        read["case"] = _renamed(_CASES, read.pop("operation"))
    return [read]


def _write_case(params: Params) -> Params:
    written = _write_fields(params)
    if "case" in written:
        written["operation"] = _turned(_CASES, written.pop("case"))
    return written


def _read_drop(params: Params) -> list[Params]:
    (read,) = _read_fields(params)
    if "dropvalues" in read:
        values = read.pop("dropvalues")
        read["values"] = [] if values == _ANY else _split(values, ";")
    return [read]


def _write_drop(params: Params) -> Params:
    written = _write_fields(params)
    if "values" in written:
        written["dropvalues"] = _join(written.pop("values"), ";") or _ANY
    return written


def _read_set(params: Params) -> list[Params]:
    read = dict(params)
    if "values" in read:
        values = read.pop("values")
        read["value"] = [value for value in values.split(";") if value] if isinstance(values, str) else values
        read["multi"] = True
    return [read]


def _write_set(params: Params) -> Params:
    written = dict(params)
    written.pop("multi", None)
    if "value" in written:
        written["values"] = _join(written.pop("value"), ";")
    return written


def _pairs(sources: str, targets: str) -> tuple[Callable[[Params], list[Params]], Callable[[Params], Params]]:
    """Of a plugin that took several fields at once: lists of the same length under these names."""

    def read(params: Params) -> list[Params]:
        rest = {name: value for name, value in params.items() if name not in (sources, targets, "mode")}
        if sources not in params and targets not in params:
            return [{name: _renamed(_MODES, value) if name == "mode" else value for name, value in params.items()}]
        common = {**rest, "mode": _renamed(_MODES, params.get("mode", "Abort"))}
        names = _split(params.get(sources, "")), _split(params.get(targets, ""))
        if not all(isinstance(each, list) for each in names) or len(names[0]) != len(names[1]):
            return [common]  # as there: without as many targets as sources it did nothing
        return [{"source": source, "target": target, **common} for source, target in zip(*names, strict=True)] or [common]

    def write(params: Params) -> Params:
        written = {{"source": sources, "target": targets}.get(name, name): value for name, value in params.items()}
        return {**written, "mode": _turned(_MODES, params.get("mode", "overwrite"))}

    return read, write


def _read_renamed(names: Mapping[str, str], params: Params) -> list[Params]:
    return [{names.get(name, name): value for name, value in params.items()}]


def _write_renamed(names: Mapping[str, str], params: Params) -> Params:
    return {_turned(names, name): value for name, value in params.items()}


def _turned(names: Mapping[str, str], value: str) -> str:
    return next((there for there, here in names.items() if here == value), value)


_copy, _rename = _pairs("sources", "destinations"), _pairs("original_names", "new_names")
_MODE_OPTIONS: Mapping[str, list[str]] = MappingProxyType({"mode": list(_MODES)})

PLUGINS: Mapping[str, Plugin] = MappingProxyType(
    {
        "CSVReader": Plugin(
            "ADAPTER",
            "CSV",
            "the fields are column_1, column_2, …; there they were column1, column2, …: list these in `columns` to keep them",
            read=_read_table,
            write=_write_table,
        ),
        "HTML": Plugin(
            "ADAPTER", "HTML", "the text of a page is in the field `text`; there it was `body`", params=("keep_html",)
        ),
        "PDFReader": Plugin("ADAPTER", "PDF"),
        "RSS": Plugin("ADAPTER", "RSS"),
        "SimpleJSON": Plugin("ADAPTER", "JSON"),
        "SolrXML": Plugin("ADAPTER", "SolrXML"),
        "TextReader": Plugin("ADAPTER", "Text"),
        "Word2007": Plugin("ADAPTER", "DOCX"),
        "XML": Plugin(
            "ADAPTER",
            "XML",
            _MAP_NOTE,
            read=partial(_read_renamed, {"mapfile": "map"}),
            write=partial(_write_renamed, {"mapfile": "map"}),
            params=("mapfile",),
        ),
        "CaseNormalizer": Plugin(
            "TRANSFORMER",
            "NormalizeCase",
            read=_read_case,
            write=_write_case,
            options={"operation": list(_CASES)},
            params=("fields", "operation"),
        ),
        "CopyField": Plugin(
            "TRANSFORMER",
            "CopyField",
            read=_copy[0],
            write=_copy[1],
            options=_MODE_OPTIONS,
            params=("sources", "destinations", "mode"),
        ),
        "DateNormalizer": Plugin(
            "TRANSFORMER",
            "NormalizeDate",
            "dates are written as RFC 3339 has them, `2024-05-01T10:30:00Z`",
            read=_read_fields,
            write=_write_fields,
        ),
        "DeleteField": Plugin("TRANSFORMER", "DeleteField", read=_read_fields, write=_write_fields, params=("fields",)),
        "GeoCode": Plugin("TRANSFORMER", note="use Lookup with a table of places, or ask a service of today with HTTPCall"),
        "RenameField": Plugin(
            "TRANSFORMER",
            "RenameField",
            read=_rename[0],
            write=_rename[1],
            options=_MODE_OPTIONS,
            params=("original_names", "new_names", "mode"),
        ),
        "SetField": Plugin("TRANSFORMER", "SetField", read=_read_set, write=_write_set, params=("field", "values")),
        "XMLMapper": Plugin(
            "TRANSFORMER",
            "XMLMap",
            _MAP_NOTE,
            read=partial(_read_renamed, {"mapfile": "map", "input": "field"}),
            write=partial(_write_renamed, {"mapfile": "map", "input": "field"}),
            params=("mapfile", "input"),
        ),
        "DropDocument": Plugin("FILTER", "DropDocument", read=_read_drop, write=_write_drop, params=("fields", "dropvalues")),
        "Address": Plugin("EXTRACTOR", "Addresses", "it looks at `text`, and writes to `addresses`"),
        "Email": Plugin("EXTRACTOR", "Emails", "it looks at `text`, and writes to `emails`"),
        "Collate": Plugin("OPERATOR", "Collate"),
        "Merge": Plugin("OPERATOR", "Merge"),
        "Split": Plugin("OPERATOR", "Split"),
        "CSVWriter": Plugin(
            "PUBLISHER", "CSVWriter", "it needs `path` and the `fields` of the columns", read=_read_fields, write=_write_fields
        ),
        "Debug": Plugin("PUBLISHER", "Debug"),
        "FastXML": Plugin("PUBLISHER", note="write the XML with Template, and publish its text"),
        "Null": Plugin("PUBLISHER", "Null"),
        "Solr": Plugin("PUBLISHER", note="use OpenSearch or SQLiteSearch, or write a publisher (`pypes new component`)"),
    }
)

#: The plugin that a component is the counterpart of.
NAME_THERE: Mapping[str, str] = MappingProxyType({plugin.component: name for name, plugin in PLUGINS.items() if plugin.component})

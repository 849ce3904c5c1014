"""The parts of a packet's JSON form that JSON itself has no words for."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from pypes.core.values import PLAIN, Body, One, Several, pack, values_of
from pypes.errors import InvalidInput

#: Reserved field-meta key of the JSON form: what plain JSON cannot say about a field (see ``Packet.to_json``).
MARK: Final = "pypes"


def write(
    entries: Mapping[str, Any], meta: Mapping[str, Any], field_meta: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The JSON form of a packet's entries and metadata; see ``Packet.to_json``."""
    fields: dict[str, Any] = {}
    metas: dict[str, Any] = {name: dict(of_field) for name, of_field in field_meta.items()}
    for name, value in entries.items():
        mark: dict[str, Any] = {}
        kind = type(value)
        if kind is One or (kind is Several and len(value) < 2):
            mark["multi"] = False
        if kind not in PLAIN or kind is bytes:
            paths: list[list[Any]] = []
            value = _to_base64(values_of(value) if kind is One or kind is Several else value, [], paths)
            if paths:
                mark["base64"] = True if paths == [[]] else paths
        fields[name] = value
        if mark:
            metas.setdefault(name, {})[MARK] = mark
    return {"fields": fields, "meta": dict(meta), "field_meta": metas}


def read(obj: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]:
    """The entries and the metadata of a packet in JSON form, made of the parts of ``obj``. Raises ``InvalidInput``."""
    fields, meta, field_meta = _parts(obj)
    for name, metas in list(field_meta.items()):
        where = f"field_meta.{name}"
        if name not in fields:
            raise _malformed(where, "there is no such field; leave it out or add the field")
        mark = metas.pop(MARK, None)
        if not metas:
            del field_meta[name]
        if not mark:
            continue
        if not isinstance(mark, dict):
            raise _malformed(f"{where}.{MARK}", "must be an object with the key multi or base64")
        if base64 := mark.get("base64"):
            fields[name] = _from_base64(fields[name], base64, f"{where}.{MARK}.base64")
        if mark.get("multi") is False:
            fields[name] = pack(fields[name])
    return fields, meta, field_meta


def _parts(obj: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    if not isinstance(obj, dict):
        raise _malformed("", "a packet is a JSON object with fields, meta and field_meta")
    if unknown := sorted(obj.keys() - {"fields", "meta", "field_meta"}):
        raise _malformed(str(unknown[0]), "unknown key; a packet has fields, meta and field_meta")
    fields, meta, field_meta = ({} if obj.get(key) is None else obj[key] for key in ("fields", "meta", "field_meta"))
    for key, part in (("fields", fields), ("meta", meta), ("field_meta", field_meta)):
        if not isinstance(part, dict):
            raise _malformed(key, "must be an object")
    for name, metas in field_meta.items():
        if not isinstance(metas, dict):
            raise _malformed(f"field_meta.{name}", "must be an object")
    return fields, meta, field_meta


def _to_base64(value: Any, path: list[Any], paths: list[list[Any]]) -> Any:
    """Turn binary values below ``path`` into base64 and note their paths."""
    if isinstance(value, dict):
        return {key: _to_base64(item, [*path, key], paths) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_base64(item, [*path, index], paths) for index, item in enumerate(value)]
    if isinstance(value, Body):
        value = value.read()
    if isinstance(value, (bytes, bytearray, memoryview)):
        paths.append(path)
        return b64encode(value).decode("ascii")
    return value


def _from_base64(value: Any, marked: Any, where: str) -> Any:
    """Turn the marked base64 strings inside a field's JSON value back into bytes, in place where it is a container."""
    if marked is True:
        marked = [[index] for index in range(len(value))] if isinstance(value, list) else [[]]
    holder = [value]
    try:
        for path in marked:
            target: Any = holder
            last: Any = 0
            for key in path:
                target, last = target[last], key
            target[last] = b64decode(target[last], validate=True)
    except (LookupError, TypeError, ValueError) as error:
        raise _malformed(where, f"does not point at base64 text ({error})") from error
    return holder[0]


def _malformed(where: str, message: str) -> InvalidInput:
    return InvalidInput(message, code="packet.malformed", where=where)

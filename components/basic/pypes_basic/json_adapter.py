"""JSON: takes in JSON documents and packets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from pypes import Adapter, Example, Packet, Reject

#: The server's own limits of a number; what is beyond would not arrive as it is.
LEAST, MOST = -(2**63), 2**64 - 1
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines", "application/x-jsonlines")


class JSON(Adapter):
    """Take in JSON documents: every key of the object becomes a field, an array a multi-valued one.

    What is posted the server has parsed already, so it passes as it is; so do packets in their own JSON form, and deletions.
    A file that a source fetched is parsed here: an object, an array of objects, or one in each line. Where the file has an id,
    the objects of an array or of lines are its parts ``row=1``, ``row=2`` …
    """

    icon = "braces"
    tags = ("format", "json")
    example = Example(
        takes=Packet({"data": b'{"title": "Ada", "links": ["a", "b"]}'}, {"mimetype": "application/json"}),
        gives=Packet.from_document({"title": "Ada", "links": ["a", "b"]}),
    )

    accepts: ClassVar[tuple[str, ...]] = ("application/json", "application/x-ndjson", "application/vnd.pypes.packets+json")

    def process_batch(self, packets: list[Packet]) -> Iterable[Packet]:
        # PERF: nearly always there is no file, and this runs for every document; a comprehension is a call more
        for packet in packets:
            if packet.has("data") and _is_file(packet):
                break
        else:
            return packets
        if len(packets) > 1:
            # one by one then, so that what is made of a file belongs to that file
            raise ValueError("a file is among them")
        return list(_documents(packet))


def _is_file(packet: Packet) -> bool:
    """True for bytes that are JSON; a packet may have a field of that name as well."""
    media_type = packet.get_meta("mimetype")
    is_json = isinstance(media_type, str) and (media_type in LINES or media_type.endswith(("/json", "+json")))
    is_packet = media_type == "application/vnd.pypes.packets+json"
    return is_json and not is_packet and isinstance(packet.get("data"), bytes) and len(packet.get_attribute_names()) == 1


def _documents(packet: Packet) -> Iterator[Packet]:
    try:
        text = packet.get("data").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Reject(f"byte {error.start}: not UTF-8, which JSON must be; convert the file", "json.charset") from error
    if packet.get_meta("mimetype") in LINES:
        found = [(f"line {at}: ", _parse(line, f"line {at}: ")) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    else:
        value = _parse(text, "")
        if isinstance(value, dict):
            yield Packet.from_document(value, packet.get_metas()[0])
            return
        found = [(f"element {at}: ", one) for at, one in enumerate(value, 1)] if isinstance(value, list) else [("", value)]
    for place, value in found:
        if not isinstance(value, dict):
            raise Reject(f"{place}a document is a JSON object; put the value into one", "json.not_documents")
    has_names = packet.id is not None or packet.part
    for number, (_, value) in enumerate(found, 1):
        if has_names:
            yield packet.derive("row", number, value, {"row": number})
        else:
            yield Packet.from_document(value, {**packet.get_metas()[0], "row": number})


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text, parse_int=_integer, parse_constant=_constant)
    except json.JSONDecodeError as error:
        where = place or f"line {error.lineno}, "
        raise Reject(f"{where}column {error.colno}: malformed JSON, {error.msg}", "json.malformed") from error
    except (ValueError, RecursionError) as error:
        raise Reject(f"{place}{error}", "json.malformed") from error


def _integer(digits: str) -> int:
    # Python itself reads no more than some thousand digits
    value = int(digits)
    if not LEAST <= value <= MOST:
        raise ValueError(f"the integer {digits[:40]} has more than 64 bits; send it as text")
    return value


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")

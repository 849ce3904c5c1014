"""JSONLines: publish to a file, one JSON object per line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import orjson

from pypes import Example, Help, Packet, Parameters, Reject
from pypes.core.identity import Completed
from pypes_basic.encoding import encode, refused_field
from pypes_basic.line_publisher import LinePublisher
from pypes_basic.log_lines import end_of, line_of


class JSONLines(LinePublisher):
    """Append every packet to a file as one line of JSON; many instances may share one file.

    A deletion becomes ``{"id": …, "deleted": true}``. In the form log, each line says of which version of which document it is,
    and further lines which versions are whole: whoever folds the file (``pypes_basic.log_lines.fold``) sees whole documents,
    the newest version of each, also after failures, replays and crashes. The other forms promise no more than the order in which
    the node runs versions of one document: a line may come twice, and parts of older versions stand before those of newer ones.

    A line that a crash tore is cut off before the next one is written. A file
    that holds something else than lines of JSON is refused: nothing but what was written here is ever cut off.
    """

    icon = "list"
    tags = ("files", "json")
    example = Example(
        takes=[Packet({"title": "Ada"}), Packet({"title": "Alan"})],
        params={"path": "titles.jsonl"},
        leaves={"titles.jsonl": '{"title":"Ada"}\n{"title":"Alan"}\n'},
    )

    inputs: ClassVar[Mapping[str, str]] = {"in": "Documents to write"}

    class Params(Parameters):
        path: Annotated[
            str,
            Help("File to append to, from the data directory if relative; - is standard output.", path=True, min_length=1),
        ] = "-"
        form: Annotated[
            Literal["fields", "packet", "log"],
            Help(
                "fields: the fields alone; packet: metadata as well, as the JSON adapter reads it; "
                "log: also the document, part and version of each, and which versions are whole."
            ),
        ] = "fields"
        max_bytes: Annotated[int, Help("A file that would grow beyond this is renamed to NAME.N.SUFFIX; 0: never.", ge=0)] = 0

    def configure(self, given: Mapping[str, Any]) -> None:
        super().configure(given)
        # with other forms, a graph pays nothing for what is not written
        self.complete = self._end if self.params.form == "log" else None

    def setup(self) -> None:
        self.open(self.params.path, self.params.max_bytes)

    def process_batch(self, packets: list[Packet]) -> None:
        content = _CONTENT[self.params.form]
        try:
            self.lines += [_dumps(content(packet)) for packet in packets]
        except orjson.JSONEncodeError as error:
            raise Reject(f"{refused_field(packets)}JSON cannot say it: {error}", "lines.value") from error

    def _end(self, documents: list[Completed]) -> None:
        """Write which versions have ended, and which of these are whole."""
        self.lines += [_dumps(end_of(document)) for document in documents]


def _dumps(value: Any) -> bytes:
    return encode(value, orjson.OPT_APPEND_NEWLINE)


def _packet(packet: Packet) -> Any:
    return packet.to_json()


def _fields(packet: Packet) -> dict[str, Any]:
    if packet.is_deletion:
        return {"id": packet.get_meta("id"), "deleted": True}
    return {name: values[0] if len(values) == 1 and not packet.is_multivalued(name) else values for name, values in packet}


_CONTENT: Final[Mapping[str, Callable[[Packet], Any]]] = {"fields": _fields, "packet": _packet, "log": line_of}

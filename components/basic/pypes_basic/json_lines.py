"""JSONLines: publish to a file, one JSON object per line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import orjson

from pypes import Example, Help, Packet, Parameters, Publisher, Reject, Retry, Unreachable
from pypes.core.identity import Completed
from pypes.errors import ComponentError
from pypes_basic.encoding import encode, refused_field
from pypes_basic.line_file import LineFile, StandardOutput
from pypes_basic.log_lines import end_of, line_of
from pypes_basic.timing import RETRY_S

SYNC_INTERVAL_S = 1.0


class JSONLines(Publisher):
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
        self._lines: list[bytes] = []
        self._synced_s = time.monotonic()
        self._file: LineFile | StandardOutput
        if self.params.path == "-":
            self._file = StandardOutput()
        else:
            self._file = LineFile(Path(self.data_dir, self.params.path), self.params.max_bytes)
            self._file.check()

    def process_batch(self, packets: list[Packet]) -> None:
        content = _CONTENT[self.params.form]
        try:
            self._lines += [_dumps(content(packet)) for packet in packets]
        except orjson.JSONEncodeError as error:
            raise Reject(f"{refused_field(packets)}JSON cannot say it: {error}", "lines.value") from error

    def _end(self, documents: list[Completed]) -> None:
        """Write which versions have ended, and which of these are whole."""
        self._lines += [_dumps(end_of(document)) for document in documents]

    def commit(self) -> None:
        if not self._lines:
            return
        data, self._lines = b"".join(self._lines), []
        try:
            self._file.append(data, sync=self._is_sync_due())
        except ComponentError as error:  # a file of somebody else stands there now: until it is moved away
            raise Unreachable(RETRY_S, error.message) from error
        except BrokenPipeError as error:
            raise Reject("nobody reads standard output any more", "lines.closed") from error
        except OSError as error:  # a full disk may have room again
            raise Retry(RETRY_S, f"{self.params.path}: {error}") from error

    def teardown(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _is_sync_due(self) -> bool:
        if self.durability == "interval":
            now = time.monotonic()
            if now - self._synced_s < SYNC_INTERVAL_S:
                return False
            self._synced_s = now
            return True
        return self.durability == "always"


def _dumps(value: Any) -> bytes:
    return encode(value, orjson.OPT_APPEND_NEWLINE)


def _packet(packet: Packet) -> Any:
    return packet.to_json()


def _fields(packet: Packet) -> dict[str, Any]:
    if packet.is_deletion:
        return {"id": packet.get_meta("id"), "deleted": True}
    return {name: values[0] if len(values) == 1 and not packet.is_multivalued(name) else values for name, values in packet}


_CONTENT: Final[Mapping[str, Callable[[Packet], Any]]] = {"fields": _fields, "packet": _packet, "log": line_of}

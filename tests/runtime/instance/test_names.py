"""What an intake keeps of documents for their receipt."""

from __future__ import annotations

from pypes.packet import Packet
from pypes.runtime.instance.names import id_in, keep_files


def test_names_of_files_are_kept_while_there_is_room() -> None:
    packets = [Packet.from_document({}, {"filename": name} if name else {}) for name in ("aaaa", "", "bbbb", "cccc")]
    files: dict[int, str] = {}
    assert keep_files(files, packets, 7, 5) == -3
    assert files == {7: "aaaa", 9: "bbbb"}
    assert keep_files(files, packets, 20, -3) == -3
    assert files == {7: "aaaa", 9: "bbbb"}


def test_what_cannot_be_an_id_is_none() -> None:
    assert id_in(Packet.from_document({"id": 7})) == "7"
    assert id_in(Packet.from_document({"id": "x" * 3000})) is None
    assert id_in(Packet.from_document({})) is None

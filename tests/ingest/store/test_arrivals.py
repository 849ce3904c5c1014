"""Shards that arrive from another node: compared, adopted once however often it is asked for, and never by mistake."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from pypes.errors import Conflict, NotFound, StoreError
from pypes.ingest.store.arrivals import Arrivals, SentShard, files_of, sent_file
from pypes.ingest.store.origin import Origin
from pypes.ingest.store.shards import Shards

IDENTITIES = [(9, 0), (9, 1)]


def given(base: Path) -> Path:
    """Two shards of node 9."""
    for slot in ("000", "001"):
        folder = base / slot
        (folder / "spool").mkdir(parents=True)
        (folder / "queue.db").write_bytes(slot.encode() * 1000)
        (folder / "lock").touch()
    (base / "000" / "spool" / "a0").write_bytes(b"a body")
    (base / "000" / "spool" / "b0").touch()
    return base


def sent(base: Path) -> list[SentShard]:
    folders = [base / "000", base / "001"]
    return [
        SentShard(number, 9, number, "n9", tuple(sent_file(folder, path) for path in files_of(folder)))
        for number, folder in enumerate(folders)
    ]


def arrive(arrivals: Arrivals, base: Path) -> None:
    arrivals.begin(IDENTITIES)
    for shard in sent(base):
        for file in shard.files:
            data = (base / f"{shard.slot:03d}" / file.name).read_bytes()
            for offset in range(0, max(len(data), 1), 700):
                arrivals.write(shard.slot, file.name, offset, data[offset : offset + 700])


def made(base: Path, id: str = "") -> Arrivals:
    return Arrivals(Shards(base), 9, id or uuid.uuid4().hex, 1)


def test_they_take_the_highest_free_slots_once(tmp_path: Path) -> None:
    base, id = given(tmp_path / "x"), uuid.uuid4().hex
    shards = Shards(tmp_path / "y")
    shards.lock(0).release()
    arrive(made(tmp_path / "y", id), base)
    for _ in range(2):
        made(tmp_path / "y", id).verify(sent(base), 5.0)
    assert shards.numbers() == [0]
    for _ in range(2):
        assert made(tmp_path / "y", id).adopt(IDENTITIES) == [255, 254]
    assert shards.numbers() == [0, 254, 255]
    assert [shards.origin(number) for number in (255, 254)] == [Origin(9, 0, "n9", 5.0), Origin(9, 1, "n9", 5.0)]
    assert (shards.folder(255) / "queue.db").read_bytes() == (base / "000" / "queue.db").read_bytes()
    assert (shards.folder(255) / "spool" / "a0").read_bytes() == b"a body"
    assert [path.name for path in shards.path.iterdir() if not path.name.isdigit()] == []
    with pytest.raises(Conflict) as caught:
        made(tmp_path / "y").begin(IDENTITIES)
    assert caught.value.code == "drain.known"


def test_a_kill_between_two_shards_leaves_the_other_to_be_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, id = given(tmp_path / "x"), uuid.uuid4().hex
    arrivals = made(tmp_path / "y", id)
    arrive(arrivals, base)
    arrivals.verify(sent(base), 5.0)
    settle = Arrivals._settle

    def once(self: Arrivals, folder: Path) -> None:
        monkeypatch.setattr(Arrivals, "_settle", lambda self, folder: 1 / 0)
        settle(self, folder)

    with monkeypatch.context() as patch:
        patch.setattr(Arrivals, "_settle", once)
        with pytest.raises(ZeroDivisionError):
            arrivals.adopt(IDENTITIES)
    monkeypatch.setattr(Arrivals, "_settle", settle)
    assert Shards(tmp_path / "y").numbers() == [255]
    assert made(tmp_path / "y", id).adopt(IDENTITIES) == [255, 254]


def test_another_attempt_is_not_taken_for_this_one(tmp_path: Path) -> None:
    base, first = given(tmp_path / "x"), made(tmp_path / "y")
    arrive(first, base)
    first.verify(sent(base), 5.0)
    second = made(tmp_path / "y")
    with pytest.raises(NotFound):
        second.adopt(IDENTITIES)
    second.begin(IDENTITIES)
    with pytest.raises(NotFound):
        first.adopt(IDENTITIES)
    arrive(first, base)
    first.withdraw()
    assert not list(Shards(tmp_path / "y").path.glob("arriving-*"))


def test_what_differs_is_refused(tmp_path: Path) -> None:
    base, arrivals = given(tmp_path / "x"), made(tmp_path / "y")
    arrive(arrivals, base)
    arrivals.write(1, "queue.db", 10, b"?")
    with pytest.raises(StoreError) as caught:
        arrivals.verify(sent(base), 5.0)
    assert caught.value.code == "drain.differs"
    with pytest.raises(NotFound):
        arrivals.adopt(IDENTITIES)


@pytest.mark.parametrize("name", ["../queue.db", "/etc/x", "spool/../../x", "a/b", "", ".", "spool/"])
def test_no_file_comes_to_another_place(tmp_path: Path, name: str) -> None:
    arrivals = made(tmp_path / "y")
    arrivals.begin(IDENTITIES)
    with pytest.raises(StoreError) as caught:
        arrivals.write(0, name, 0, b"x")
    assert caught.value.code == "drain.bad_call"


def test_an_id_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        made(tmp_path / "y", "../../x")

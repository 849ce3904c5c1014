"""``pypes queue`` on data directories of stopped, running and damaged nodes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from click.testing import CliRunner, Result

from pypes.cli.commands import pypes
from pypes.core.limits import Limits
from pypes.ingest.delivery import Header
from pypes.ingest.outcome import DeadLetter, Outcome, dead_letter_id
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.store.shards import Shards
from tests.ingest.harness import lease_any
from tests.ingest.store import format_1


def run(*arguments: object) -> Result:
    return CliRunner().invoke(pypes, ["queue", *(str(argument) for argument in arguments)])


def fill(data: Path, work: Callable[[EmbeddedQueue], Awaitable[None]], shard: int = 0) -> None:
    """Have ``work`` done with the queue of a shard, then close it."""

    async def main() -> None:
        queue = await EmbeddedQueue.open(Shards(data).lock(shard), node=0, limits=Limits())
        try:
            async with asyncio.timeout(30):
                await work(queue)
        finally:
            await queue.close()

    asyncio.run(main())


async def post(queue: EmbeddedQueue, *bodies: bytes) -> list[str]:
    """One commit of them all."""
    return list(await asyncio.gather(*[queue.intake.append(Header("g", length=len(body)), body) for body in bodies]))


def test_a_sound_queue_is_ok_and_counted(tmp_path: Path) -> None:
    async def work(queue: EmbeddedQueue) -> None:
        await post(queue, b"1", b"22", b"333")
        first, second = lease_any(queue, 2, 1 << 20)
        queue.leasing.ack(first, Outcome(1))
        letter = DeadLetter(dead_letter_id(second.id, 0, "f"), (0,), "g", 1, "f", "F", "c", "boom", "", 1, b"{}", 1.0)
        queue.leasing.ack(second, Outcome(failed=1, dead_letters=(letter,)))

    fill(tmp_path, work)
    checked = run("check", tmp_path)
    assert checked.exit_code == 0, checked.output
    assert "shard 0: ok, 1 delivery waits" in checked.output
    (stats,) = json.loads(run("stats", tmp_path, "--json").output)
    assert (stats["shard"], stats["format"], stats["deliveries"], stats["commits"], stats["dead_letters"]) == (0, 3, 1, 1, 1)
    assert stats["oldest"].endswith("Z")
    assert "dead letters" in run("stats", tmp_path).output


def test_queued_deliveries_are_exported(tmp_path: Path) -> None:
    ids: list[str] = []

    async def work(queue: EmbeddedQueue) -> None:
        ids.extend(await post(queue, b"text", b"\xff\x00", b"finished"))
        async with queue.blobs.create() as writer:
            await writer.write(b"spooled")
            body = await writer.finish()
        ids.append(await queue.intake.append(Header("g", length=7), body))
        *_, last = lease_any(queue, 3, 1 << 20)
        queue.leasing.ack(last, Outcome(1))

    fill(tmp_path, work)
    exported = CliRunner().invoke(pypes, ["queue", "export", str(tmp_path), "--shard", "0"])
    assert exported.exit_code == 0, exported.output
    lines = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [line["receipt"] for line in lines] == [ids[0], ids[1], ids[3]]
    assert lines[0]["body"] == "text"
    assert (lines[0]["header"]["graph"], lines[0]["header"]["documents"]) == ("g", 1)
    assert [base64.b64decode(line["body_base64"]) for line in lines[1:]] == [b"\xff\x00", b"spooled"]


def test_a_running_node_is_not_disturbed(tmp_path: Path) -> None:
    async def work(queue: EmbeddedQueue) -> None:
        await post(queue, b"1")
        for command in ("check", "export"):
            refused = await asyncio.to_thread(run, command, tmp_path)
            assert refused.exit_code == 1
            assert "shard 0 is in use; stop the node first" in refused.output
        (stats,) = json.loads((await asyncio.to_thread(run, "stats", tmp_path, "--json")).output)
        assert stats["deliveries"] == 1
        await post(queue, b"2")

    fill(tmp_path, work)


def test_a_wrong_folder_or_shard_is_named(tmp_path: Path) -> None:
    assert "the directory has no queues" in run("check", tmp_path).output
    assert not list(tmp_path.iterdir())

    async def work(queue: EmbeddedQueue) -> None:
        await post(queue, b"1")

    fill(tmp_path, work, shard=2)
    assert "there is no shard 1; there are 2" in run("check", tmp_path, "--shard", 1).output
    assert run("check", tmp_path, "--shard", 2).exit_code == 0


def test_damaged_rows_and_missing_files_are_named(tmp_path: Path) -> None:
    ids: list[str] = []

    async def work(queue: EmbeddedQueue) -> None:
        ids.extend(await post(queue, b"the one that is going to be damaged"))
        ids.extend(await post(queue, b"intact"))
        async with queue.blobs.create() as writer:
            await writer.write(b"spooled")
            body = await writer.finish()
        ids.append(await queue.intake.append(Header("g", length=7), body))

    fill(tmp_path, work)
    path = tmp_path / "shards/000/queue.db"
    data = path.read_bytes()
    assert data.count(b"going to be damaged") == 1
    path.write_bytes(data.replace(b"going to be damaged", b"going to bE damaged"))
    for file in (tmp_path / "shards/000/spool").iterdir():
        file.unlink()
    checked = run("check", tmp_path)
    assert checked.exit_code == 1
    assert f"receipt {ids[0]}: a row of the queue is damaged: its checksum does not match" in checked.output
    assert f"receipt {ids[2]}: the file" in checked.output
    assert f"receipt {ids[1]}:" not in checked.output
    exported = run("export", tmp_path)
    assert exported.exit_code == 1
    assert [json.loads(line)["body"] for line in exported.stdout.splitlines()] == ["intact"]
    assert ids[0] in exported.stderr


def test_a_store_of_the_format_before_is_read_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "shards/000"
    folder.mkdir(parents=True)
    old = format_1.Writer(folder / "queue.db")
    old.commit([b"1", b"2"])
    old.finish(0, [1, 1, 0, 0, 5])
    old.close()
    assert run("check", tmp_path).exit_code == 0
    (stats,) = json.loads(run("stats", tmp_path, "--json").output)
    assert (stats["format"], stats["deliveries"]) == (1, 1)
    assert [json.loads(line)["body"] for line in run("export", tmp_path).stdout.splitlines()] == ["2"]


def test_what_is_no_store_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "shards/000"
    folder.mkdir(parents=True)
    (folder / "queue.db").write_bytes(b"this is not a database" * 100)
    checked = run("check", tmp_path)
    assert checked.exit_code == 1
    assert "shard 0:" in checked.output

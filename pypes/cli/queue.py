"""``pypes queue``: look into the queues of a node's data directory without starting it."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson
from msgspec import structs

from pypes.core.nodetime import node_clock
from pypes.core.wording import counted
from pypes.errors import StoreError
from pypes.ingest.delivery import Spooled
from pypes.ingest.receipt import rfc3339
from pypes.ingest.store.inspection import Inspector, Unfinished, node_of
from pypes.ingest.store.shards import Shards

_BLOCK_BYTES = 3 << 16  # a multiple of three: base64 of a part is then a part of the base64

_DATA = click.argument("data_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
_SHARD = click.option("--shard", type=click.IntRange(0), metavar="N", help="Only this one.")


@click.group()
def queue() -> None:
    """Look into the queues under DATA_DIR. Nothing in them is changed; for check and export, the node must be stopped."""


@queue.command()
@_DATA
@_SHARD
def check(data_dir: Path, shard: int | None) -> None:
    """Check everything in the queues; ends with status 1 if anything is wrong."""
    found = 0
    for number in _numbers(data_dir, shard):
        try:
            with _inspector(data_dir, number, is_locked=True) as inspector:
                problems = list(inspector.problems())
                waiting = inspector.stats().deliveries if not problems else 0
        except StoreError as error:
            if error.code == "store.locked":
                raise
            problems, waiting = [str(error)], 0
        for problem in problems:
            click.echo(f"shard {number}: {problem}")
        if not problems:
            click.echo(f"shard {number}: ok, {counted(waiting, 'delivery waits', 'deliveries wait')}")
        found += len(problems)
    if found:
        click.echo(f"{counted(found, 'problem')} found", err=True)
        sys.exit(1)


@queue.command()
@_DATA
@_SHARD
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def stats(data_dir: Path, shard: int | None, as_json: bool) -> None:
    """Show how much is in the queues; also while the node runs."""
    everything = []
    for number in _numbers(data_dir, shard):
        with _inspector(data_dir, number, is_locked=False) as inspector:
            everything.append(asdict(inspector.stats()))
    clock = node_clock(data_dir)
    for each in everything:
        each["oldest"] = rfc3339(clock.shown(each["oldest"])) if each["oldest"] is not None else None
    if as_json:
        click.echo(orjson.dumps(everything, option=orjson.OPT_INDENT_2))
        return
    for each in everything:
        click.echo(click.style(f"shard {each.pop('shard')}", bold=True))
        for name, value in each.items():
            click.echo(f"  {name.replace('_', ' '):18} {value if value is not None else '-'}")


@queue.command()
@_DATA
@_SHARD
def export(data_dir: Path, shard: int | None) -> None:
    """Write the queued deliveries to standard output, a JSON object a line.

    Each has receipt, header, and body, or body_base64 where the body is not plain UTF-8 text. What cannot be read is named on
    standard error, and the status is then 1.
    """
    out = sys.stdout.buffer
    damaged = 0
    for number in _numbers(data_dir, shard):
        with _inspector(data_dir, number, is_locked=True) as inspector:
            for waiting in inspector.waiting():
                if waiting.problem:
                    damaged += 1
                    click.echo(f"shard {number}, receipt {waiting.receipt}: {waiting.problem}", err=True)
                else:
                    _write(out, waiting)
    if damaged:
        sys.exit(1)


def _write(out: BinaryIO, waiting: Unfinished) -> None:
    header = structs.asdict(waiting.header)
    line: dict[str, Any] = {"receipt": waiting.receipt, "header": header | {"keys": waiting.header.keys.hex()}}
    if isinstance(waiting.body, Spooled):
        # as large as bodies may be: never whole in memory
        out.write(orjson.dumps(line)[:-1] + b',"body_base64":"')
        with waiting.body.open() as file:
            while block := file.read(_BLOCK_BYTES):
                out.write(base64.b64encode(block))
        out.write(b'"}\n')
        return
    try:
        line["body"] = waiting.body.decode()
    except UnicodeDecodeError:
        line["body_base64"] = base64.b64encode(waiting.body).decode()
    out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _numbers(data_dir: Path, shard: int | None) -> list[int]:
    folder = data_dir / "shards"
    # Shards would make the folder: whoever names a wrong one should hear of it instead
    numbers = Shards(data_dir).numbers() if folder.is_dir() else []
    if shard is not None and shard not in numbers:
        there = f"there are {', '.join(map(str, numbers))}" if numbers else "there are none; give the node's data directory"
        raise StoreError(f"there is no shard {shard}; {there}", code="store.no_such_shard", where=str(data_dir))
    if not numbers:
        raise StoreError(
            "the directory has no queues; give the node's data directory", code="store.no_such_shard", where=str(data_dir)
        )
    return [shard] if shard is not None else numbers


@contextmanager
def _inspector(data_dir: Path, number: int, *, is_locked: bool) -> Iterator[Inspector]:
    """Open a shard for reading; ``is_locked``: only if no worker has it."""
    shards = Shards(data_dir)
    locked = None
    if is_locked:
        try:
            locked = shards.lock(number)
        except StoreError as error:
            if error.code != "store.locked":
                raise
            raise StoreError(f"shard {number} is in use; stop the node first", code="store.locked", where=str(data_dir)) from None
    try:
        inspector = Inspector(shards.path / f"{number:03d}", node_of(data_dir), number)
        try:
            yield inspector
        finally:
            inspector.close()
    finally:
        if locked is not None:
            locked.release()

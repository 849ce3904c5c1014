"""``pypes backup`` and ``pypes restore``: a copy of a node's data directory, and a data directory made of it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pypes.core.wording import counted, sized
from pypes.runtime.backup.making import make
from pypes.runtime.backup.manifest import Manifest
from pypes.runtime.backup.restoring import restore as restore_from


@click.command()
@click.argument("data_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("backup_dir", type=click.Path(path_type=Path))
def backup(data_dir: Path, backup_dir: Path) -> None:
    """Copy the data directory of a node to BACKUP_DIR, a new folder. The node may run, and nothing of it is held up.

    Ends with status 1 if something in the queues is damaged; the backup is made all the same.
    """
    made = make(data_dir, backup_dir)
    for shard in made.shards:
        waiting = counted(shard.deliveries, "delivery waits", "deliveries wait")
        click.echo(
            f"shard {shard.shard}: {waiting}, {counted(shard.receipts, 'receipt')}, {counted(shard.dead_letters, 'dead letter')}"
        )
    _tell(backup_dir, made.manifest)
    for problem in made.problems:
        click.echo(problem, err=True)
    if made.problems:
        sys.exit(1)


@click.command()
@click.argument("backup_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("data_dir", type=click.Path(path_type=Path))
@click.option("--paused", is_flag=True, help="Restore with all graphs paused, until they are resumed one by one.")
def restore(backup_dir: Path, data_dir: Path, paused: bool) -> None:
    """Make the data directory DATA_DIR, new or empty, of what `pypes backup` has written to BACKUP_DIR."""
    manifest = restore_from(backup_dir, data_dir, is_paused=paused)
    _tell(data_dir, manifest)


def _tell(folder: Path, manifest: Manifest) -> None:
    size = sized(sum(file.size for file in manifest.files.values()))
    click.echo(f"{folder}: node {manifest.node} as of {manifest.time}, {counted(len(manifest.files), 'file')}, {size}")

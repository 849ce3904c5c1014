"""The disk of a shard while one graph is paused: bounded by what waits, however much of another graph passes."""

from pathlib import Path

import pytest

from benchmarks.disk import Load, Sizes, run
from tests.ingest import harness

SPARE = 1 << 20
PAGE = 32768


@pytest.mark.parametrize("load", [Load(8000, 1000, 1000, 99), Load(3000, 2000, 10, 3)], ids=["large", "small"])
def test_the_disk_is_bounded_by_what_waits(tmp_path: Path, load: Load) -> None:
    found: list[Sizes] = []

    async def main() -> None:
        found.extend(await run(tmp_path, load, samples=20, spare_bytes=SPARE))

    harness.run(main())
    assert found[-1].done == load.documents
    assert found[-1].waiting == load.waiting_body * -(-load.documents // load.batch)
    assert load.documents * load.body > 5 * SPARE
    for sizes in found:
        # a row has 64 bytes and more besides what waits in it; those of the last commits, and what is to be written anew, come
        # when the disk does
        commits = sizes.waiting // load.waiting_body
        assert sizes.rows <= 2 * (sizes.waiting + 100 * commits) + 2 * SPARE
        # pages that are in use are full for the most part; accounts of what is done lie there, too, and each table has a page
        assert sizes.pages <= 2 * sizes.rows + 40 * sizes.done + 42 * PAGE

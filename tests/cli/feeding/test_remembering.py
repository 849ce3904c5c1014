"""What a run deletes, while files come and go and the server refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pypes.cli.feeding.posting import Feeder
from pypes.cli.feeding.remembering import Remembering
from pypes.cli.feeding.walking import files_of
from tests.cli.feeding.server import Server


def run(
    server: Server,
    root: Path,
    template: str = "{path}",
    when_walked: Callable[[], object] = lambda: None,
    when_looked: Callable[[], object] = lambda: None,
) -> Feeder:
    """A run of ``pypes feed`` over a folder, with what happens to it meanwhile."""
    feeder = Feeder(server.url)
    files = list(files_of([root], template=template))
    when_walked()
    with Remembering(root.parent / "state", f"{server.url}/docs", [root], template) as memories:
        feeder.recorder = memories
        memories.look(is_confirmed=False)
        when_looked()
        feeder.feed(files)
        memories.keep(feeder)
    feeder.close()
    return feeder


def test_a_file_that_is_gone_for_a_moment_only_is_not_deleted(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.txt").write_text("a")
    (root / "b.txt").write_text("b")
    run(server, root)
    file = root / "a.txt"
    run(server, root, when_walked=lambda: file.rename(tmp_path / "aside"), when_looked=lambda: file.write_text("saved"))
    assert server.deleted == []
    file.unlink()
    run(server, root, when_looked=lambda: file.write_text("back, but not fed"))
    assert server.deleted == []
    file.unlink()
    run(server, root)
    assert server.deleted == ["a.txt"]


def test_a_deletion_that_was_refused_is_made_up_for(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.txt").write_text("a")
    run(server, root)
    server.refuse = {b"DELETE": [(403, {})]}
    assert [what for what, _ in run(server, root, "x/{path}").report.failures] == ["deletions"]
    run(server, root, "x/{path}")
    assert server.deleted == ["a.txt"]

from pypes.ingest.dispatch.committed import Committed
from pypes.ingest.outcome import Poison
from pypes.ingest.protocol import Rerun


def test_what_was_committed_is_told_until_it_is_forgotten() -> None:
    committed = Committed()
    assert not committed
    committed.add("r", "index", [2, 0], 7)
    committed.add("r", "index", [4], 7)
    committed.add("r", "copy", [0], 7)
    assert committed
    poison = Poison(1, "pdf", "killed by SIGSEGV")
    assert committed.over("r", None) == Rerun(committed={"index": (0, 2, 4), "copy": (0,)}, version=7)
    assert committed.over("r", Rerun((poison,))) == Rerun((poison,), {"index": (0, 2, 4), "copy": (0,)}, version=7)
    assert committed.over("other", None) is None
    committed.forget("r")
    assert committed.over("r", None) is None
    assert not committed


def test_what_was_committed_under_several_versions_of_a_graph() -> None:
    committed = Committed()
    committed.add("r", "index", [0], 7)
    committed.add("r", "index", [1], 8)
    committed.add("r", "copy", [0], 8)
    assert committed.over("r", None) == Rerun(committed={"index": (0, 1), "copy": (0,)})

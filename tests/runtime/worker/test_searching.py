"""Searches of a worker in a process of their own: what is told of errors, how many wait, and that the process is ended."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from pypes.component.searching import SearchQuery
from pypes.errors import Draining, PypesError, StoreError, Unavailable
from pypes.graph.spec import ComponentSpec
from pypes.runtime.worker.searching import MOST_WAITING, Search, Searches

OWN = '''
import os
from pathlib import Path

from pypes import Parameters, Publisher, Reject, Unreachable
from pypes.errors import StoreError


class Marking:
    """Leaves the number of the process in which it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return exec, (f"import os; open({self.folder!r} + '/unpickled', 'a').write(f'{{os.getpid()}} ')",)


class Gone(StoreError):
    pass


class Odd(Publisher):
    class Params(Parameters):
        key: str = ""

    def process(self, packet):
        pass

    def search(self, query):
        if query.text == "gone":
            raise Gone("its disk is gone", code="odd.gone", where="odd")
        if query.text == "marking":
            raise ValueError("odd", Marking(self.data_dir))
        if query.text == "unreachable":
            raise Unreachable(1.0, "nobody answers")
        if query.text == "tell":
            raise StoreError(f"no index at {self.params.key}")
        if query.text == "fail":
            print("no answer from", self.params.key)
            raise ConnectionError(f"no answer from {self.params.key}")
        if query.text == "reject":
            raise Reject("not this question", "odd.not")
        if query.text == "wait":
            Path(self.data_dir, "begun").write_bytes(b"")
            Path(self.data_dir, "go").read_bytes()
        return {"hits": [], "next": None, "notes": [str(os.getpid()), str(query.filters)]}
'''


def run(check: Callable[[Searches, Path], Awaitable[None]], folder: Path) -> None:
    """Run a check with searches, and close these."""

    async def checked() -> None:
        searches = Searches()
        try:
            await check(searches, folder)
        finally:
            await searches.close()

    asyncio.run(checked())


def question(folder: Path, text: str, params: Mapping[str, Any] | None = None, **more: Any) -> Search:
    own = folder / "own.py"
    own.write_text(OWN)
    component = ComponentSpec("Odd", kind="PUBLISHER", module=str(own), attr="Odd").to_obj()
    return Search("g", "odd", component, params or {}, str(folder), SearchQuery(text, **more))


async def process_of(searches: Searches, folder: Path) -> int:
    answer = orjson.loads(await searches.ask(question(folder, "which")))
    return int(answer["notes"][0])


def test_an_answer_has_the_name_of_its_graph(tmp_path: Path) -> None:
    async def check(searches: Searches, folder: Path) -> None:
        answer = orjson.loads(await searches.ask(question(folder, "a", filters=("n>1", "n<3"))))
        assert answer["graph"] == "g"
        assert answer["notes"][1] == "('n>1', 'n<3')"

    run(check, tmp_path)


def test_errors_come_back_as_what_they_are(tmp_path: Path) -> None:
    async def check(searches: Searches, folder: Path) -> None:
        with pytest.raises(StoreError, match="its disk is gone") as gone:
            await searches.ask(question(folder, "gone"))
        assert (gone.value.code, gone.value.where) == ("odd.gone", "odd")
        for text, says in (("unreachable", "nobody answers"), ("reject", "not this question")):
            with pytest.raises(Unavailable, match=says) as ended:
                await searches.ask(question(folder, text))
            assert ended.value.code == "search.lost"

    run(check, tmp_path)


def test_errors_tell_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PLACE", "postgresql://me:correct-horse@host/x")

    async def check(searches: Searches, folder: Path) -> None:
        params = {"key": "${PLACE}"}
        with pytest.raises(StoreError, match="no index at") as told:
            await searches.ask(question(folder, "tell", params))
        with pytest.raises(Exception, match="no answer from") as failed:
            await searches.ask(question(folder, "fail", params))
        for error in (told.value, failed.value):
            assert "${PLACE}" in str(error)
            assert "correct-horse" not in "".join(traceback.format_exception(error))

    run(check, tmp_path)
    said = capfd.readouterr()
    assert "no answer from ${PLACE}" in said.out
    assert "correct-horse" not in said.out + said.err


def test_nothing_of_a_component_is_unpickled_in_the_worker(tmp_path: Path) -> None:
    async def check(searches: Searches, folder: Path) -> None:
        with pytest.raises(Exception, match="odd") as caught:
            await searches.ask(question(folder, "marking"))
        assert not isinstance(caught.value, PypesError)
        marks = folder / "unpickled"
        assert str(os.getpid()) not in (marks.read_text() if marks.exists() else "").split()

    run(check, tmp_path)


def test_as_many_wait_as_may_beside_the_one_that_runs(tmp_path: Path) -> None:
    async def check(searches: Searches, folder: Path) -> None:
        for pipe in ("begun", "go"):
            os.mkfifo(folder / pipe)
        running = asyncio.create_task(searches.ask(question(folder, "wait")))
        await asyncio.to_thread((folder / "begun").read_bytes)
        waiting = [asyncio.create_task(searches.ask(question(folder, "a"))) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        assert not any(each.done() for each in waiting)
        with pytest.raises(Unavailable) as refused:
            await searches.ask(question(folder, "a"))
        assert refused.value.code == "search.busy"
        await asyncio.to_thread((folder / "go").write_bytes, b"")
        await asyncio.gather(running, *waiting)

    run(check, tmp_path)


def test_a_process_that_is_being_set_up_for_somebody_who_goes_is_kept_for_the_next(tmp_path: Path) -> None:
    async def check(searches: Searches, folder: Path) -> None:
        first = asyncio.create_task(searches.ask(question(folder, "a")))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await process_of(searches, folder) == await process_of(searches, folder)

    run(check, tmp_path)


def test_the_end_ends_a_process_that_is_being_set_up(tmp_path: Path) -> None:
    async def check(searches: Searches, folder: Path) -> None:
        asking = asyncio.create_task(searches.ask(question(folder, "a")))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await searches.close()  # no process is left behind
        with pytest.raises(Draining):
            await searches.ask(question(folder, "a"))

    run(check, tmp_path)

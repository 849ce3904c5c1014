"""Stage: one destination under test, and what its readers may see after each step of a publisher."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pypes.component import Component
from pypes.core.identity import Completed, Version
from pypes.core.limits import Limits
from pypes.errors import Retry
from pypes.pipeline import Pipeline
from pypes.testing.posts import Failing, Post, Seen, Splitting, Waiting

#: Small waves, so that a document comes in several turns, each with its commit.
LIMITS: Final = Limits(wave_packets=1, wire_packets=1)
#: The calls between which a reader may look, and a process may die.
STEPS: Final = ("process", "process_batch", "complete", "commit")

_NONE: Final[frozenset[Seen]] = frozenset()
_FIRST: Final = Version("")


@dataclass
class _Document:
    """The newest whole version of a document, and what newer ones have left beside it."""

    version: Version = _FIRST
    whole: frozenset[Seen] = _NONE
    newer: dict[Version, frozenset[Seen]] = field(default_factory=dict)
    flying: list[Post] = field(default_factory=list)
    #: Those whose process has died.
    lost: list[Post] = field(default_factory=list)


class Stage:
    """A destination, filled by real publishers, that is compared with what it should hold after each of their steps.

    ``make`` gives a new publisher, configured; ``seen`` reads the destination; ``fields`` gives the fields of a packet for its
    text. With ``shows_both``, readers may see parts of newer versions beside a whole one. Checks raise ``AssertionError``.
    """

    def __init__(
        self,
        make: Callable[[], Component],
        seen: Callable[[], Iterable[tuple[str, str | None, str, str]]],
        fields: Callable[[str], Mapping[str, Any]],
        *,
        shows_both: bool,
    ) -> None:
        self.make = make
        self._seen = seen
        self._fields = fields
        self._shows_both = shows_both
        self._documents: dict[tuple[str, str], _Document] = {}
        self._nameless: set[str] = set()
        self._flying_nameless: set[str] = set()
        #: Number of steps of the last :meth:`post`.
        self.steps = 0

    # -- posts ---------------------------------------------------------------------------------------------

    def post(
        self,
        *posts: Post,
        is_told_twice: bool = False,
        is_watched: bool = True,
        raises_at: int = 0,
        limits: Limits = LIMITS,
    ) -> int:
        """Run posts as one delivery in a new publisher, and return how many parts it removed.

        Compares after each step, if it ``is_watched``, and at the end. The step of number ``raises_at`` raises ``Retry`` when it
        is done. With ``limits`` that are those of a node, all packets come in one turn.
        """
        self.begin(*posts)
        publisher = self.make()
        if is_told_twice:
            tell_twice(publisher)
        wrong: list[AssertionError] = []
        self.steps = 0

        def on_step(step: str) -> None:
            self.steps += 1
            try:
                if is_watched:
                    self.look(f"after {step} for {_names(posts)}")
            except AssertionError as error:  # raised here, it would be a failure of the publisher
                wrong.append(error)
            if self.steps == raises_at:
                raise Retry(0.0, f"{step} is to be tried again")

        watch(publisher, on_step)
        removed = self.run(publisher, posts, limits=limits)
        if wrong:
            raise wrong[0]
        self.end(*posts)
        return removed

    def run(
        self, publisher: Component, posts: Iterable[Post], pause: Callable[[], None] | None = None, limits: Limits = LIMITS
    ) -> int:
        """Run posts in the scheduler, compare nothing; returns how many parts the publisher said that it removed."""
        posts = list(posts)
        nodes: dict[str, Component] = {"split": Splitting(), "fail": Failing(), "publisher": publisher}
        wires = [("split.out", "fail.in"), ("fail.out", "publisher.in")]
        if pause is not None:
            nodes["wait"] = waiting = Waiting()
            waiting.pause = pause
            wires += [("split.open", "wait.in"), ("wait.out", "publisher.in")]
        with Pipeline(nodes=nodes, wires=wires, limits=limits) as pipeline:
            pipeline.push([post.packet(self._fields) for post in posts])
            expected = sum(len(post.fails) for post in posts)
            unexpected = [letter for letter in pipeline.dead_letters if letter.code != "test.fails"]
            assert not unexpected, f"the publisher fails: {unexpected[0].code}: {unexpected[0].error}"
            assert len(pipeline.dead_letters) == expected, pipeline.dead_letters
            return pipeline.removed.get("publisher", 0)

    def begin(self, *posts: Post) -> None:
        """From now on, readers may see what these posts bring."""
        for post in posts:
            if post.id is None:
                self._flying_nameless |= {each.text for each in post.made()}
            else:
                self._document(post).flying.append(post)

    def end(self, *posts: Post) -> None:
        """These posts have ended: compare once more, with what is to stay."""
        for post in posts:
            if post.id is None:
                self._nameless |= {each.text for each in post.made()}
                continue
            document = self._document(post)
            document.flying.remove(post)
            if post.version < document.version:
                continue
            if post.is_whole:
                document.version, document.whole = post.version, post.made()
                document.lost = [each for each in document.lost if each.version > post.version]
                document.newer = {version: made for version, made in document.newer.items() if version > post.version}
            else:
                document.newer[post.version] = post.made()
        if not any(document.flying for document in self._documents.values()):
            self._flying_nameless -= self._nameless
        self.look(f"at the end of {_names(posts)}", is_exact=True)

    def lose(self, post: Post) -> None:
        """The process that ran this post has died: readers may see what it brought, until a later version is whole."""
        document = self._document(post)
        document.flying.remove(post)
        document.lost.append(post)

    def _document(self, post: Post) -> _Document:
        assert post.id is not None
        return self._documents.setdefault((post.route, post.id), _Document())

    # -- readers -------------------------------------------------------------------------------------------

    def look(self, when: str, *, is_exact: bool = False) -> None:
        """Compare what readers see now with what they may see; with ``is_exact``, nothing may be there twice."""
        found = [Seen(*each) for each in self._seen()]
        named: dict[tuple[str, str], list[Seen]] = {name: [] for name in self._documents}
        others: list[str] = []
        for each in found:
            if each.document is not None and (key := (each.route, each.document)) in named:
                named[key].append(each)
            else:
                others.append(each.text)
        for name, rows in named.items():
            self._compare(f"{when}, of document {name[1]!r} in route {name[0]!r}", self._documents[name], rows, is_exact)
        missing = self._nameless - set(others)
        assert not missing, f"{when}, documents without an id have gone: {sorted(missing)}"
        strange = set(others) - self._nameless - self._flying_nameless
        assert not strange, f"{when}, a reader sees what was not posted there: {sorted(strange)}"
        assert not is_exact or len(others) == len(set(others)), f"{when}, documents without an id are there twice: {others}"

    def _compare(self, when: str, document: _Document, rows: list[Seen], is_exact: bool) -> None:
        now, open = frozenset(rows), document.flying + document.lost
        newer = [post for post in open if post.version > document.version]
        wholes = [document.whole, *(post.made() for post in newer if post.is_whole)]
        shown = _told(now)
        assert any(whole <= now for whole in wholes), (
            f"{when}, a reader sees no whole version: {shown}, and not {' or '.join(_told(whole) for whole in wholes)}"
        )
        beside = list(document.newer.values())
        beside += [post.made() for post in (open if self._shows_both else newer)]
        strange = now.difference(*wholes, *beside)
        assert not strange, f"{when}, a reader still sees {_told(strange)}"
        if not self._shows_both and document.whole:
            assert now in wholes, f"{when}, a reader sees parts of several versions: {shown}"
        if is_exact:
            assert len(rows) == len(now), f"{when}, a reader sees something twice: {sorted(rows)}"


# -- what is done to a publisher ---------------------------------------------------------------------------


def watch(publisher: Component, on_step: Callable[[str], None]) -> None:
    """Have ``on_step`` called after each step of a publisher, with the name of the method."""
    for name in STEPS:
        if (own := getattr(publisher, name, None)) is not None:
            setattr(publisher, name, _followed(own, name, on_step))


def _followed(own: Callable[..., Any], name: str, on_step: Callable[[str], None]) -> Callable[..., Any]:
    def followed(*args: Any) -> Any:
        result = own(*args)
        on_step(name)
        return result

    return followed


def tell_twice(publisher: Component) -> None:
    """Have a publisher told twice of all documents, as after a crash; it removes something once."""
    own = publisher.complete
    assert own is not None

    def complete(documents: list[Completed]) -> int | None:
        removed = own(documents)
        again = own(documents)
        assert not again, f"told again of the same documents, it has removed {again} parts more"
        return removed

    publisher.complete = complete


def _names(posts: Sequence[Post]) -> str:
    first, *others = posts
    return f"{first}, and {len(others)} more" if others else str(first)


def _told(seen: Iterable[Seen]) -> str:
    return str(sorted(each.text for each in seen)) if seen else "nothing"

"""Components as graphs have them made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest

from pypes.component import Transformer
from pypes.component.parameters import Help, Parameters
from pypes.core.paths import Paths
from pypes.errors import InvalidInput
from pypes.graph.spec import describe
from pypes.runtime.making import Site


class Keeps(Transformer):
    """Keeps something in a file."""

    class Params(Parameters):
        path: Annotated[str, Help("Where.", path=True)] = "kept"
        key: str = ""


SPEC = describe(Keeps, module=__name__, attr="Keeps")


def test_a_component_knows_where_it_is_and_what_is_secret(tmp_path: Path) -> None:
    site = Site(Paths(str(tmp_path)), {"KEY": "s3cret-key"})
    made = site.make(SPEC, {"key": "${KEY}"}, "keeps")
    assert (made.params.key, made.data_dir) == ("s3cret-key", str(tmp_path))
    assert made.secrets.redact("with s3cret-key") == "with ${KEY}"
    assert made.paths.problem("kept") == ""


def test_a_link_that_has_come_since_is_found_when_the_component_is_made(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    site = Site(Paths(str(tmp_path), own=((str(tmp_path / "shards"), "the store"),)), {})
    site.make(SPEC, {}, "keeps")
    (tmp_path / "kept").symlink_to("shards/queue.db")
    for params in ({}, {"path": "kept"}, {"path": "shards/x"}):
        with pytest.raises(InvalidInput, match="path leads into the store") as refused:
            site.make(SPEC, params, "keeps")
        assert refused.value.code == "param.path"
    # new parameters of a component that runs are no different
    with pytest.raises(InvalidInput):
        site.checked(SPEC, {})
    elsewhere = replace(site, paths=Paths(str(tmp_path / "data"), roots=(str(tmp_path / "free"),)))
    elsewhere.make(SPEC, {"path": str(tmp_path / "free" / "x")}, "keeps")
    with pytest.raises(InvalidInput, match="roots"):
        elsewhere.make(SPEC, {"path": str(tmp_path / "x")}, "keeps")


class Shares(Transformer):
    """Shares a list with whoever has the same secret."""

    class Params(Parameters):
        key: str = ""

    def setup(self) -> None:
        self.list = self.shared(list, self.params.key)


def test_components_of_one_place_share_and_those_of_two_do_not() -> None:
    spec = describe(Shares, module=__name__, attr="Shares")
    here, there = Site(environ={"KEY": "s3cret-key"}), Site(environ={"KEY": "s3cret-key"})
    made = [site.make(spec, {"key": key}, "shares") for site, key in ((here, "${KEY}"), (here, "s3cret-key"), (there, "${KEY}"))]
    for component in made:
        component.setup()
    one, same, apart = [component.list for component in made]  # type: ignore[attr-defined]
    assert one is same is not apart

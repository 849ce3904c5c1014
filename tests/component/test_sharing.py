"""Components that share clients: filters of a pipeline, alone, and with new parameters."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import pytest

from pypes.component import Example, Help, Parameters, Transformer
from pypes.errors import ComponentError
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.testing import ComponentSuite, run_component
from tests.component.clients import Client, Faulty


class Uses(Transformer):
    """Sends on whether its client is open."""

    example = Example(Packet(), Packet({"open": True}))

    class Params(Parameters):
        url: Annotated[str, Help("Where the client leads.")] = "x"
        fails: Annotated[bool, Help("Whether set-up fails half-way.")] = False

    def setup(self) -> None:
        self.client = self.shared(Client, self.params.url, name=self.params.url)
        if self.params.fails:
            raise ValueError("half-way")

    def reconfigure(self, params: Any) -> None:
        old, self.client = self.client, self.shared(Client, params.url, name=params.url)
        self.unshare(old)

    def process(self, packet: Packet) -> Packet:
        packet.set("open", self.client.is_open)
        return packet

    def teardown(self) -> None:
        Client.told.append(f"teardown {self.name}")


def uses(**params: Any) -> Uses:
    made = Uses()
    made.configure(params)
    return made


class TestUses(ComponentSuite):
    component = Uses


def test_filters_of_a_pipeline_share_and_pipelines_do_not() -> None:
    one, other, apart = uses(), uses(), uses()
    with Pipeline(one, other) as pipeline, Pipeline(apart):
        [packet] = pipeline.push([Packet()])
        assert packet.get("open")
        assert one.client is other.client is not apart.client
    assert Client.told == [
        *["made x"] * 2,
        *["teardown uses1", "closed x"],
        *["teardown uses1", "teardown uses2", "closed x"],
    ]


def test_a_set_up_that_fails_half_way_gives_back() -> None:
    with pytest.raises(ComponentError, match="half-way"):
        Pipeline(uses(), uses(url="y", fails=True), uses(url="z"))
    assert Client.told == ["made x", "made y", *(f"teardown uses{n}" for n in (1, 2, 3)), "closed x", "closed y"]


def test_new_parameters_give_the_old_back() -> None:
    made = uses(), uses()
    with Pipeline(*made):
        made[0].configure({"url": "y"})
        made[0].reconfigure(made[0].params)
        assert Client.told == ["made x", "made y"]
        made[1].configure({"url": "y"})
        made[1].reconfigure(made[1].params)
        assert Client.told == ["made x", "made y", "closed x"]
        # the same again: nothing is made, nothing closed
        made[1].reconfigure(made[1].params)
        assert made[0].client is made[1].client
        assert made[0].client.is_open
    assert Client.told[3:] == ["teardown uses1", "teardown uses2", "closed y"]


def test_a_component_that_runs_alone_has_its_own() -> None:
    made = uses()
    for _ in range(2):
        result = run_component(made, [Packet()])
        assert result.packets[0].get("open")
    assert Client.told == ["made x", "teardown component", "closed x"] * 2
    # by hand, as in a unit test
    made.setup()
    client = made.client
    made.teardown()
    made.unshare(client)
    assert not client.is_open


def test_the_log_names_the_filter(caplog: pytest.LogCaptureFixture) -> None:
    class Breaks(Uses):
        def setup(self) -> None:
            self.client = self.shared(Faulty)

    with Pipeline(Breaks):
        pass
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert (record.getMessage(), vars(record)["filter"]) == ("closing the shared Faulty failed", "breaks1")

"""Recordings say what a node said, in the notation of promtool and in stretched time."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypes.observe.metrics import NODE_START
from tests.deploy.incidents import INCIDENTS
from tests.deploy.recording import RECORDED, STRETCH, Recording, Values, notation, samples_of, values_of
from tests.deploy.settings import SAMPLES
from tests.deploy.stage import Incident, record


@pytest.mark.parametrize(
    ("values", "text", "scraped"),
    [
        ([1.0, 1.0, 1.0, 2.5], "1+0x2 2.5", "1+0x2 2.5"),
        ([3.0, 3.0, None, None, None, 4.0], "3 3 _x3 4", "3 3 stale _x2 4"),
        ([None, None, 0.0, None], "_x2 0 _", "_x2 0 stale"),
        ([-1.25, 1e9], "-1.25 1000000000", "-1.25 1000000000"),
    ],
)
def test_values_are_written_and_read(values: Values, text: str, scraped: str) -> None:
    assert notation(values) == text
    assert notation(values, "stale") == scraped
    assert [*values_of(text)] == values


def test_what_the_clock_measures_is_stretched() -> None:
    text = f"""# TYPE pypes_queue_oldest_age_seconds gauge
pypes_queue_oldest_age_seconds{{graph="g",lane="live"}} 2
# TYPE {NODE_START.name} gauge
{NODE_START.name} 90
# TYPE pypes_documents_accepted counter
pypes_documents_accepted_total{{graph="g"}} 7
"""
    assert samples_of(text, began=100.0) == {
        'pypes_queue_oldest_age_seconds{graph="g",lane="live"}': 2 * STRETCH,
        NODE_START.name: -10 * STRETCH,
        'pypes_documents_accepted_total{graph="g"}': 7,
    }


def test_there_is_a_recording_of_each_incident() -> None:
    assert {path.stem for path in RECORDED.glob("*.txt")} == INCIDENTS.keys()
    for name, incident in INCIDENTS.items():
        assert Recording.load(name).length == incident.scrapes


def test_a_node_is_recorded(tmp_path: Path) -> None:
    """With a short incident, so that all can be recorded anew when that is needed."""
    short = Incident("short", frozenset(), lambda stage: stage.destination.refuse(), instances=1, before=2, scrapes=4)
    recording = record(short, tmp_path)
    assert recording.length == 4
    assert recording.series["up"] == [1.0] * 4
    names = {name.partition("{")[0] for name in recording.series} - {"up"}
    assert names <= SAMPLES.keys()
    recording.save(tmp_path / "short.txt")
    assert (tmp_path / "short.txt").read_text().startswith("up 1+0x3\n")
    assert recording.only({"up"}).series.keys() == {"up"}

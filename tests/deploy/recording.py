"""Recordings of metrics: what a real node said of itself, scrape by scrape, in the notation of promtool's tests.

A node is scraped every :data:`PERIOD_S`; Prometheus is told that :data:`INTERVAL_S` lie between two scrapes, so that ten
minutes of an alert pass in twenty seconds. For this, whatever is measured by the clock outside is stretched by the same factor,
:data:`STRETCH`: ages, times, and the seconds that filters and processes work or wait, whose shares of the time stay as they were.
Counts, bytes and the histograms of single requests and commits stay as the node said them. A scrape that takes longer than the
period is one scrape nevertheless, as it is within the 15 s of Prometheus.

A file has a line for each series: its name, and the values with ``_`` where it was not there, ``1+0x5`` for six equal ones.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import urllib3
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from pypes.core.clock import wall
from pypes.observe import metrics as m
from pypes.testing.node import Node

PERIOD_S: Final = 0.5
INTERVAL_S: Final = 15
STRETCH: Final = INTERVAL_S / PERIOD_S

#: Seconds that pass outside, in a gauge or a counter.
STRETCHED: Final = {
    metric.name
    for metric in (
        m.QUEUE_AGE,
        m.FILTER_SECONDS,
        m.FILTER_PARKED,
        m.FILTER_WAITING,
        m.PUBLISHER_SECONDS,
        m.WIRE_PARKED,
        m.PROCESS_CPU,
    )
}
#: Times, in seconds since 1970: a recording begins at 0, as the tests of promtool do.
TIMES: Final = {m.NODE_START.name, m.FILTER_LAST_ERROR.name, m.CERTIFICATE_END.name}

RECORDED: Final = Path(__file__).parent / "recorded"

#: The name of the node in recordings, as Prometheus labels its series.
NODE: Final = "docs.example.org:8080"

Values = list[float | None]


class Recording:
    """Values of series by their names as ``/metrics`` shows them, one for each scrape."""

    def __init__(self, series: dict[str, Values] | None = None) -> None:
        self.series: dict[str, Values] = {} if series is None else series

    @property
    def length(self) -> int:
        """Scrapes."""
        return max(map(len, self.series.values()), default=0)

    def put(self, number: int, samples: dict[str, float]) -> None:
        """Add what was scraped as the scrape of a ``number``; numbers that were skipped stay empty."""
        for name, value in samples.items():
            values = self.series.setdefault(name, [])
            values += [None] * (number - len(values))
            values.append(value)

    def only(self, names: Collection[str]) -> Recording:
        """The recording with the samples of some names."""
        return Recording({name: values for name, values in self.series.items() if name.partition("{")[0] in names})

    def save(self, path: Path) -> None:
        path.write_text("".join(f"{name} {notation(values)}\n" for name, values in self.series.items()), encoding="utf-8")

    @classmethod
    def load(cls, name: str) -> Recording:
        """The recording of an incident."""
        recording = cls()
        for line in (RECORDED / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            start = line.find(" ", line.find("}") + 1)
            recording.series[line[:start]] = [*values_of(line[start + 1 :])]
        return recording

    def as_scraped(self, node: str) -> Iterator[tuple[str, Values]]:
        """Names with the labels that Prometheus adds to series of a node, and values."""
        for name, values in self.series.items():
            bare, _, labels = name.partition("{")
            target = f'instance="{node}",job="pypes"'
            yield f"{bare}{{{target}{',' if labels else ''}{labels or '}'}", values


def notation(values: Values, gone: str = "_") -> str:
    """Values as promtool's tests have them; ``gone`` is written for the first one of a gap."""
    parts: list[str] = []
    for value, group in itertools.groupby(values):
        number = len([*group])
        if value is None:
            if parts and gone != "_":
                parts.append(gone)
                number -= 1
            parts += [f"_x{number}"] if number > 1 else ["_"] * number
        else:
            text = f"{value:.3f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
            parts += [text] * number if number < 3 else [f"{text}+0x{number - 1}"]
    return " ".join(parts)


def values_of(text: str) -> Iterator[float | None]:
    """The values of a line of :func:`notation`."""
    for part in text.split():
        value, _, times = part.partition("x")
        if value == "_":
            yield from [None] * int(times or 1)
        else:
            yield from [float(value.removesuffix("+0"))] * (int(times or 0) + 1)


def samples_of(text: str, began: float) -> dict[str, float]:
    """What a node says, stretched; ``began`` is the time of the first scrape."""
    found = {}
    families: Any = read_prometheus(text)
    for family in families:
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            value = sample.value
            if sample.name in TIMES:
                value -= began
            if sample.name in STRETCHED | TIMES:
                value *= STRETCH
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = value
    return found


class Recorder(threading.Thread):
    """Scrapes a node until so many scrapes are made. A node that does not answer is down, as for Prometheus."""

    def __init__(self, node: Node, scrapes: int) -> None:
        super().__init__(name="recorder", daemon=True)
        self.recording = Recording()
        self.is_done = threading.Event()
        self._node = node
        self._scrapes = scrapes

    def run(self) -> None:
        http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10.0), **self._node.trust)
        began, due = wall(), time.monotonic()
        number = 0
        while number < self._scrapes:
            try:
                answer = http.request("GET", f"{self._node.url}/metrics")
                is_up = answer.status == 200
                samples = samples_of(answer.data.decode(), began) if is_up else {}
            except urllib3.exceptions.HTTPError:
                is_up, samples = False, {}
            self.recording.put(number, {"up": float(is_up), **samples})
            number += 1
            due += PERIOD_S
            if (late := time.monotonic() - due) > 0:
                due += late  # one scrape took longer than stands between two: Prometheus would not have missed any
            self.is_done.wait(max(0.0, due - time.monotonic()))
        self.is_done.set()

"""Prometheus and promtool, the package of Debian."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import urllib3

from pypes.testing.node import free_port
from tests.deploy.recording import INTERVAL_S, NODE, Recording, notation
from tests.needed import missing
from tests.servers.process import running

INSTALL: Final = "apt-get install --no-install-recommends prometheus"

_SAMPLE: Final = re.compile(r"Labels:(\{[^\n]*\})\n\s*Annotations:(\{[^\n]*\})|(\{[^{}]*\}) (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = dict[str, str]


class Fired(NamedTuple):
    """An alert that fires, with its labels but for the job, and its annotations."""

    name: str
    labels: Labels
    annotations: Labels


def program(name: str) -> str:
    """The path of ``promtool`` or ``prometheus``; skips the test, or fails it on CI, where it is missing."""
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed: {INSTALL}")
        raise AssertionError
    return found


def promtool(*arguments: object, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool; its output is with its errors in ``stdout``."""
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def _tested(folder: Path, rules: Path, recording: Recording, test: Mapping[str, object]) -> str:
    """What promtool says of a test with a recording."""
    series = [{"series": name, "values": notation(values, "stale")} for name, values in recording.as_scraped(NODE)]
    interval = f"{INTERVAL_S}s"
    tests = {
        "rule_files": [str(rules)],
        "evaluation_interval": interval,
        "tests": [{"interval": interval, "input_series": series, **test}],
    }
    path = folder / "tests.json"
    path.write_text(json.dumps(tests), encoding="utf-8")
    return promtool("test", "rules", path).stdout


def _labels(text: str) -> Labels:
    return {name: json.loads(f'"{value}"') for name, value in _LABEL.findall(text)}


def fired(folder: Path, rules: Path, recording: Recording) -> list[Labels]:
    """The labels of all alerts that fire at some time in a recording."""
    at = f"{recording.length * INTERVAL_S}s"
    expr = 'max_over_time(ALERTS{alertstate="firing"}[1d])'
    said = _tested(folder, rules, recording, {"promql_expr_test": [{"expr": expr, "eval_time": at}]})
    if "SUCCESS" in said:
        return []
    found = [_labels(group) for _, _, group, _ in _SAMPLE.findall(said.partition("got:")[2])]
    assert found, said
    return found


def value(folder: Path, rules: Path, recording: Recording, expr: str) -> float:
    """The only value that a query has at the end of a recording."""
    at = f"{(recording.length - 1) * INTERVAL_S}s"
    said = _tested(folder, rules, recording, {"promql_expr_test": [{"expr": expr, "eval_time": at}]})
    [found] = _SAMPLE.findall(said.partition("got:")[2])
    return float(found[-1])


def told(folder: Path, rules: Path, recording: Recording, names: Iterable[str]) -> list[Fired]:
    """What alerts of some names tell whenever they fire, at each scrape of a recording."""
    times: Sequence[str] = [f"{number * INTERVAL_S}s" for number in range(recording.length)]
    tests = [{"eval_time": at, "alertname": name, "exp_alerts": []} for name in sorted(names) for at in times]
    said = _tested(folder, rules, recording, {"alert_rule_test": tests})
    found = []
    for labels, texts, _, _ in _SAMPLE.findall(said):
        read = _labels(labels)
        if labels:
            found.append(Fired(read.pop("alertname"), read, _labels(texts)))
    return found


#: The time at which recordings begin in the store of a Prometheus, in seconds since 1970.
BEGAN: Final = 1_700_000_000


def stored(folder: Path, recordings: Mapping[str, Recording]) -> Path:
    """The folder of a store with recordings, each of a node of a name."""
    lines = []
    for node, recording in recordings.items():
        for name, values in recording.as_scraped(node):
            lines += [f"{name} {value} {BEGAN + n * INTERVAL_S}\n" for n, value in enumerate(values) if value is not None]
    given = folder / "recorded.om"
    given.write_text("".join([*lines, "# EOF\n"]), encoding="utf-8")
    data = folder / "stored"
    done = promtool("tsdb", "create-blocks-from", "openmetrics", given, data)
    assert done.returncode == 0, done.stdout
    return data


class Server:
    """A Prometheus that runs. Questions raise ``AssertionError`` when they have no answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(30.0))

    def ask(self, path: str, **parameters: object) -> Any:
        """The data of an answer of its interface."""
        answer = self._http.request("GET", f"{self._url}/api/v1/{path}", fields={k: str(v) for k, v in parameters.items()})
        told = answer.json()
        assert told["status"] == "success", told
        return told["data"]

    def series(self, expr: str, length: int) -> list[Any]:
        """The series that a query has in a recording of so many scrapes."""
        end = BEGAN + length * INTERVAL_S
        found: list[Any] = self.ask("query_range", query=expr, start=BEGAN, end=end, step=INTERVAL_S)["result"]
        return found

    def is_ready(self) -> bool:
        return bool(self._http.request("GET", f"{self._url}/-/ready").status == 200)

    def close(self) -> None:
        self._http.clear()


@contextmanager
def prometheus(folder: Path, settings: Path, data: Path | None = None) -> Iterator[Server]:
    """A Prometheus with a file of settings, and data of :func:`stored` if there are any, while it runs."""
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={settings}",
        f"--storage.tsdb.path={data or folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    server = Server(f"http://127.0.0.1:{port}")
    try:
        with running(command, port, folder / "prometheus.log", is_ready=server.is_ready):
            yield server
    finally:
        server.close()

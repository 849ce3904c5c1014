"""The settings of other programs in deploy/, and what their queries ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from pypes.observe.metrics import CATALOGUE, Metric

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
PROMETHEUS: Final = DEPLOY / "prometheus" / "prometheus.yml"
ALERTS: Final = DEPLOY / "prometheus" / "alerts.yml"

#: Samples that there may be, with the metrics that they belong to: a histogram has several.
SAMPLES: Final[dict[str, Metric]] = {
    f"{metric.name}{end}": metric
    for metric in CATALOGUE
    for end in (("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",))
}

#: Labels that Prometheus adds to whatever it scrapes.
TARGET: Final = {"job", "instance"}

_NAME: Final = re.compile(r"\bpypes_\w+")
_SELECTOR: Final = re.compile(r"\b(pypes_\w+)\{([^}]*)\}")
_MATCHER: Final = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


class Alert(NamedTuple):
    """A rule of Prometheus that alerts."""

    name: str
    expr: str
    severity: str
    annotations: dict[str, str]


def loaded(path: Path) -> Any:
    """The content of a YAML file of one document."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def documents(path: Path) -> list[Any]:
    """All documents of a YAML file."""
    return [*yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def alerts() -> Iterator[Alert]:
    """All rules of alerts.yml."""
    for group in loaded(ALERTS)["groups"]:
        for rule in group["rules"]:
            yield Alert(rule["alert"], rule["expr"], rule["labels"]["severity"], rule["annotations"])


def names_in(expr: str) -> set[str]:
    """Names of samples of Pypes that a query asks for."""
    return set(_NAME.findall(expr))


def mistakes(expr: str) -> list[str]:
    """Names and labels in a query that a node does not have; labels are known for the samples beside them only."""
    found = [f"there is no sample {name}" for name in sorted(names_in(expr)) if name not in SAMPLES]
    for name, matchers in _SELECTOR.findall(expr):
        known = {*SAMPLES[name].labels, *TARGET, "le"} if name in SAMPLES else set()
        found += [f"{name} has no label {label}" for label in _MATCHER.findall(matchers) if label not in known]
    every = {label for name in names_in(expr) & SAMPLES.keys() for label in SAMPLES[name].labels} | TARGET | {"le"}
    for group in _GROUPING.findall(expr):
        found += [f"none has the label {label}" for label in re.findall(r"\w+", group) if label not in every]
    return found

"""The dashboard of Grafana: its panels and what they ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tests.deploy.settings import DEPLOY

BOARD: Final[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "pypes.json").read_text(encoding="utf-8"))

#: Values of the variables that show everything.
VARIABLES: Final = {"$job": "pypes", "$instance": ".*", "$graph": ".*", "$__rate_interval": "1m"}


class Query(NamedTuple):
    """A query of a panel, with the legend of its series."""

    panel: str
    expr: str
    legend: str


def panels() -> Iterator[dict[str, Any]]:
    """All panels but the headings of rows."""
    return (panel for panel in BOARD["panels"] if panel["type"] != "row")


def queries() -> Iterator[Query]:
    for panel in panels():
        for target in panel["targets"]:
            yield Query(panel["title"], target["expr"], target["legendFormat"])


def filled_in(expr: str) -> str:
    """A query with values in place of its variables."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr

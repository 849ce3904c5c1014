"""``pypes test``: run the tests that graphs carry, with every publisher replaced by a probe."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import click
import orjson

from pypes import logs
from pypes.cli.catalogue import find_components, load_option
from pypes.component import Publisher
from pypes.core.paths import Paths
from pypes.core.printed import cleaned_prints
from pypes.core.secrets import VARIABLE
from pypes.errors import InvalidGraph, Problem
from pypes.graph.cases import Case, read_cases
from pypes.graph.composite_files import read_file
from pypes.graph.model import Graph
from pypes.registry import Catalogue
from pypes.runtime.graphs.check import check
from pypes.runtime.making import Site
from pypes.runtime.trials.testing import Failure, run_case


@dataclass
class Result:
    """Result of one test of the graph in a file; ``error`` if the test could not be run at all."""

    graph: str
    name: str
    failures: list[Failure] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failures and not self.error


@click.command()
@click.argument("graphs", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@load_option
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JUnit XML too.")
def test(graphs: tuple[Path, ...], load_files: tuple[Path, ...], junit: Path | None) -> None:
    """Run the tests in GRAPHS in this process; nothing is published. Exit code 1 if one fails."""
    catalogue = find_components(load_files)
    results: list[Result] = []
    for path in graphs:
        for result in _run(path, catalogue):
            results.append(result)
            _show(result)
    failed = sum(not result.passed for result in results)
    click.echo(f"{len(results) - failed} passed, {failed} failed" if results else "no tests")
    if junit is not None:
        junit.write_bytes(_junit(results))
    if failed:
        raise SystemExit(1)


def _run(path: Path, catalogue: Catalogue) -> list[Result]:
    try:
        expanded = read_file(path, catalogue)
        graph = expanded.graph
        environ = _environ(graph, catalogue)
        problems = [expanded.retold(each) for each in check(graph, catalogue, environ, has_fleet=True, paths=Paths())]
        cases, mistakes = read_cases(graph.tests, list(graph.nodes))
        if problems or mistakes:
            raise InvalidGraph("the graph is not valid", problems=[*problems, *mistakes])
    except InvalidGraph as error:
        listed = error.problems or [Problem(error.where, error.message, error.code)]
        return [Result(str(path), "is valid", error="\n".join(f"{p.path}: {p.message} [{p.code}]" for p in listed))]
    return [_try(graph, case, catalogue, environ, str(path)) for case in cases]


def _environ(graph: Graph, catalogue: Catalogue) -> Mapping[str, str]:
    """The environment; a variable that is not set and that only publishers read stands for its name: nothing is published."""
    read: dict[bool, set[str]] = {True: set(), False: set()}
    for node in graph.nodes.values():
        spec = catalogue.get(node.component)
        is_probed = spec is not None and spec.kind == Publisher.__metatype__
        read[is_probed] |= {name for _, name in VARIABLE.findall(json.dumps(node.params))}
    return {**{name: name for name in read[True] - read[False]}, **os.environ}


def _try(graph: Graph, case: Case, catalogue: Catalogue, environ: Mapping[str, str], path: str) -> Result:
    site = Site(environ=environ)
    logs.plain(site.hiding)
    with cleaned_prints(site.secrets.redact):
        done = run_case(graph, case, catalogue, site)
    error = "" if done.error is None else f"{done.error['message']} [{done.error['code']}]"
    return Result(path, case.name, done.failures, error, done.seconds)


def _show(result: Result) -> None:
    click.echo(f"{result.graph}: {result.name}: {'ok' if result.passed else 'FAILED'}")
    for line in _lines(result):
        click.echo(f"  {line}")


def _lines(result: Result) -> list[str]:
    lines = result.error.splitlines()
    for failure in result.failures:
        lines.append(f"{failure.what}:")
        lines.append(f"  expected {_json(failure.expected)}")
        lines.append(f"  found    {_json(failure.found)}")
    return lines


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _junit(results: list[Result]) -> bytes:
    """The results in the form that build servers read."""
    suites = ElementTree.Element("testsuites")
    for path in dict.fromkeys(result.graph for result in results):
        own = [result for result in results if result.graph == path]
        counts = {"tests": len(own), "failures": sum(bool(r.failures) for r in own), "errors": sum(bool(r.error) for r in own)}
        attributes = {"name": path, **{name: str(count) for name, count in counts.items()}}
        suite = ElementTree.SubElement(suites, "testsuite", {**attributes, "time": f"{sum(r.seconds for r in own):.3f}"})
        for result in own:
            case = ElementTree.SubElement(
                suite, "testcase", {"classname": path, "name": result.name, "time": f"{result.seconds:.3f}"}
            )
            if not result.passed:
                kind = "error" if result.error else "failure"
                node = ElementTree.SubElement(case, kind, {"message": _lines(result)[0]})
                node.text = "\n".join(_lines(result))
    ElementTree.indent(suites)
    written: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"

"""Runs the worked example of a component, so that what the catalogue shows is what happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypes.component import Component, Example
from pypes.core.secrets import Secrets
from pypes.graph.validation import expand
from pypes.packet import Packet
from pypes.testing.component import Result, run_component


def run_example(component: type[Component], data_dir: Path, environ: Mapping[str, str] | None = None) -> Result:
    """Run ``component.example`` on the real scheduler, in the folder ``data_dir``; returns what came of it.

    ``environ`` has what ``${NAME}`` in the parameters stand for, an address for example. Raises ``AssertionError`` that names
    every difference between what is shown and what happened.
    """
    example = component.example
    assert example is not None, f"{component.__name__} has no example; give it one, see the component guide"
    for path, text in example.files.items():
        (data_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / path).write_text(text, encoding="utf-8")

    def make() -> Component:
        made = component()
        made.secrets = Secrets.of([example.params], environ or {})
        made.data_dir = str(data_dir)
        made.configure(expand(example.params, environ or {}))
        return made

    result = run_component(make(), example.taken() or _fetched(make()))
    differences = "\n".join(_differences(example, result, data_dir))
    assert not differences, f"the example of {component.__name__} is not what happens:\n{differences}"
    return result


def _fetched(source: Component) -> list[Packet]:
    """All packets that a source fetches at first; nothing of another component."""
    fetch = getattr(source, "fetch", None)
    if fetch is None:
        return []
    try:
        source.setup()
        return [packet for packets, _ in fetch(None) for packet in packets]
    finally:
        source.teardown()
        source._shares.give_back_all()


def _differences(example: Example, result: Result, data_dir: Path) -> list[str]:
    found = [f"failed: {letter.code}: {letter.error}" for letter in result.dead_letters]
    given = example.given()
    for port in sorted({*given, *result.outputs}):
        shown, came = given.get(port, []), list(result.outputs.get(port, []))
        if len(shown) != len(came):
            found.append(f"port {port}: {len(shown)} packets are shown, {len(came)} came: {[_told(each) for each in came]}")
        for number, (one, other) in enumerate(zip(shown, came, strict=False)):
            if not (isinstance(other, Packet) and _is_as_shown(one, other)):
                found.append(f"port {port}, packet {number}: shown is {_told(one)}, what came is {_told(other)}")
    for path, text in example.leaves.items():
        file = data_dir / path
        if not file.is_file():
            found.append(f"file {path}: is not there")
        elif text is not None and (content := file.read_text(encoding="utf-8")) != text:
            found.append(f"file {path}: shown is {text!r}, it holds {content!r}")
    return found


def _is_as_shown(shown: Packet, came: Packet) -> bool:
    """True if the fields are the same, and all metadata shown is there."""
    names = shown.get_attribute_names()
    are_same = shown.get_attributes() == came.get_attributes() and all(
        shown.is_multivalued(name) == came.is_multivalued(name) for name in names
    )
    meta, field_meta = shown.get_metas()
    return (
        are_same
        and all(came.get_meta(name) == value for name, value in meta.items())
        and all(came.get_meta(name, field) == value for field, own in field_meta.items() for name, value in own.items())
    )


def _told(packet: Any) -> str:
    return f"{packet!r} {packet.get_metas()[0]!r}" if isinstance(packet, Packet) else repr(packet)

"""``pypes components``: what there is to build graphs from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import orjson

from pypes.cli.catalogue import find_components, load_option, require_files
from pypes.component import KINDS
from pypes.errors import NotFound
from pypes.graph.spec import ComponentSpec
from pypes.packet import Packet
from pypes.registry import Catalogue


@click.command()
@click.argument("name", required=False)
@load_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def components(name: str | None, load_files: tuple[Path, ...], as_json: bool) -> None:
    """List the components by kind, or show all about the component NAME."""
    catalogue = find_components(load_files, is_complete=False)
    if name is None:
        _list(catalogue, as_json)
        return
    spec = catalogue.get(name)
    if spec is None:
        require_files(catalogue)
        raise NotFound(f"no component {name!r}; there are {', '.join(sorted(catalogue))}", code="component.unknown")
    if as_json:
        click.echo(orjson.dumps(spec.to_obj(), option=orjson.OPT_INDENT_2))
    else:
        _show(spec)


def _list(catalogue: Catalogue, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps([catalogue[name].to_obj() for name in sorted(catalogue)], option=orjson.OPT_INDENT_2))
        return
    for kind in KINDS:
        names = catalogue.by_kind(kind)
        if names:
            click.echo(click.style(kind, bold=True))
        for name in names:
            spec = catalogue[name]
            click.echo(f"  {name:16} {spec.error or _first_line(spec.doc)}")
    for broken in catalogue.broken:
        click.echo(f"{broken.distribution} {broken.version} cannot be used: {broken.error}", err=True)


def _show(spec: ComponentSpec) -> None:
    click.echo(f"{click.style(spec.name, bold=True)}  ({spec.kind}, {spec.distribution} {spec.version})")
    if spec.error:
        click.echo(f"\ncannot be used: {spec.error}")
    click.echo(f"\n{spec.doc.strip()}\n")
    if spec.isolated:
        click.echo("runs in a process of its own")
    if spec.tags:
        click.echo(f"tags\n  {', '.join(spec.tags)}")
    if spec.needs:
        click.echo("needs")
    for module, line in spec.needs.items():
        click.echo(f"  {module:16} {line}{' (not installed)' if module in spec.missing else ''}")
    for title, ports in (("inputs", spec.inputs), ("outputs", {**spec.outputs, "error": "Packets that failed"})):
        if ports:
            click.echo(title)
        for port, text in ports.items():
            click.echo(f"  {port:16} {text or ''}")
    if spec.accepts:
        click.echo(f"accepts\n  {', '.join(spec.accepts)}")
    properties: dict[str, Any] = spec.schema.get("properties", {})
    if properties:
        click.echo("parameters")
    for parameter, schema in properties.items():
        default = f"default {orjson.dumps(schema['default']).decode()}" if "default" in schema else "required"
        click.echo(f"  {parameter:16} {schema.get('description', '')} ({_type(schema)}, {default})")
    if spec.example:
        click.echo("example")
        for line in _example(spec.example):
            click.echo(f"  {line}")


def _example(example: Mapping[str, Any]) -> Iterator[str]:
    """An example in lines: its parameters, then what goes in and what comes out, as JSON but for bytes that are text."""
    if example["params"]:
        yield f"with {_json(example['params'])}"
    for path, text in example["files"].items():
        yield f"{path}: {_json(text)}"
    for way, default in (("takes", "in"), ("gives", "out")):
        for port, packets in example[way].items():
            side = default if port == default else f"{default} ({port})"
            for obj in packets:
                packet = Packet.from_json(deepcopy(obj))  # which it keeps
                meta = packet.get_metas()[0]
                yield f"{side:4} {_json(_plain(packet))}{f'  metadata {_json(meta)}' if meta else ''}"
    for path, text in example["leaves"].items():
        yield f"then {path}{'' if text is None else f': {_json(text)}'}"


def _plain(packet: Packet) -> dict[str, Any]:
    """Fields of a packet, in their order; a list where there are several values."""
    return {name: packet.get(name) for name in packet.get_attributes()}


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_text).decode()


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    raise TypeError


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    return str(schema.get("type", "any"))


def _first_line(doc: str) -> str:
    return doc.strip().split("\n", 1)[0]

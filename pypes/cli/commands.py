"""The commands of ``pypes``: a name, where it is, and nothing imported before it is asked for."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from pypes.core.secrets import without_users
from pypes.errors import NotFound, PypesError
from pypes.registry import load_command

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "serve": ("pypes.cli.serve", "serve"),
        "run": ("pypes.cli.run", "run"),
        "lint": ("pypes.cli.lint", "lint"),
        "test": ("pypes.cli.test", "test"),
        "debug": ("pypes.cli.debug", "debug"),
        "record": ("pypes.cli.record", "record"),
        "components": ("pypes.cli.components", "components"),
        "feed": ("pypes.cli.feed", "feed"),
        "status": ("pypes.cli.status", "status"),
        "top": ("pypes.cli.top", "top"),
        "cluster": ("pypes.cli.cluster", "cluster"),
        "receipts": ("pypes.cli.receipts", "receipts"),
        "trace": ("pypes.cli.trace", "trace"),
        "deadletters": ("pypes.cli.deadletters", "deadletters"),
        "stores": ("pypes.cli.stores", "stores"),
        "outbox": ("pypes.cli.outbox", "outbox"),
        "drain": ("pypes.cli.drain", "drain"),
        "events": ("pypes.cli.events", "events"),
        "tap": ("pypes.cli.tap", "tap"),
        "logs": ("pypes.cli.logs", "logs"),
        "token": ("pypes.cli.token", "token"),
        "audit": ("pypes.cli.audit", "audit"),
        "queue": ("pypes.cli.queue", "queue"),
        "backup": ("pypes.cli.backup", "backup"),
        "restore": ("pypes.cli.backup", "restore"),
        "export": ("pypes.cli.moving", "export"),
        "import": ("pypes.cli.moving", "import_"),
        "import-project": ("pypes.cli.import_project", "import_project"),
        "new": ("pypes.cli.new", "new"),
        "demo": ("pypes.cli.demo", "demo"),
    }
)

#: Commands that distributions bring, and the distribution that is to be installed for each.
BROUGHT: Mapping[str, str] = MappingProxyType({"search": "pypes-search", "ask": "pypes-search"})


class Commands(click.Group):
    """A group that imports a command when it is run, and shows our own errors as a sentence, not a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *BROUGHT]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in BROUGHT:
            return _brought(cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PypesError as error:
            raise click.ClickException(without_users(f"{error} [{error.code}]")) from error
        except OSError as error:
            if error.errno == errno.EPIPE or error.filename is None:
                raise  # click ends quietly when nobody reads what it writes; what has no name is a fault of ours
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def _brought(name: str) -> click.Command:
    """A command of a distribution; where that is not installed, one that says so."""
    try:
        command: click.Command = load_command(name)
        return command
    except NotFound:
        told = f"pypes {name} needs {BROUGHT[name]}, which is not installed; install it with: pip install {BROUGHT[name]}"

    def tell(**_: Any) -> None:
        raise click.ClickException(told)

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=tell, help=f"{told}.", context_settings=anything, add_help_option=True)


@click.command(cls=Commands)
@click.version_option(package_name="pypes-server", prog_name="pypes")
def pypes() -> None:
    """Push documents in, condition them through a graph of components, publish them."""

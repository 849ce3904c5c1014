"""The command line: one module per command, each imported only when it is asked for.

Multiprocessing's spawn imports the main module again in every graph instance, and with it this package:
nothing heavy may be imported here at the top.
"""

from __future__ import annotations


def main() -> None:
    """Run the command ``pypes``."""
    from pypes.cli.commands import pypes

    pypes(prog_name="pypes")

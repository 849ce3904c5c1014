"""``pypes serve``: start a node."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import click

from pypes.config import load_settings
from pypes.core.descriptors import raise_soft_limit
from pypes.core.lasting import lasting

#: Option → setting; options that are not given leave the setting to the environment, the file, or its default.
_SETTINGS = {
    "bind": "server.bind",
    "workers": "server.workers",
    "instances": "server.instances",
    "data": "server.data",
    "graphs": "server.graphs",
    "default": "server.default",
    "token_file": "server.token_file",
    "tls_cert": "server.tls_cert",
    "tls_key": "server.tls_key",
    "hosts": "server.hosts",
    "proxies": "server.proxies",
    "origins": "server.origins",
    "load": "server.load",
    "insecure": "server.insecure",
    "fleet": "server.fleet",
    "durability": "queue.durability",
    "grace_s": "limits.grace_s",
    "log_format": "log.format",
    "log_level": "log.level",
}


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file; by default ./pypes.ini, if it exists.")
@click.option("--bind", metavar="HOST:PORT", help="Address and port to listen on (127.0.0.1:8080).")
@click.option("--workers", metavar="N", help="Ingest processes.")
@click.option("--instances", metavar="N", help="Processes that run the graphs (one per core).")
@click.option("--data", metavar="DIR", help="Folder for everything that must survive a restart (./data).")
@click.option("--graphs", metavar="DIR", help="Folder of graphs to deploy (./graphs).")
@click.option("--default", metavar="GRAPH", help="Graph for documents whose route no graph names.")
@click.option("--token-file", metavar="FILE", help="File that holds the bearer token; or set PYPES_TOKEN.")
@click.option("--tls-cert", metavar="FILE", help="File with the certificate for TLS (PEM); then the node speaks https.")
@click.option("--tls-key", metavar="FILE", help="File with the private key of the certificate.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="Further name under which clients reach the server.")
@click.option("--proxy", "proxies", multiple=True, metavar="NETWORK", help="Network of proxies whose X-Forwarded-* count.")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="Web origin that may change state from a browser.")
@click.option("--load", multiple=True, metavar="FILE.py", help="Python file with components that are not packaged.")
@click.option("--insecure", is_flag=True, default=None, help="Listen beyond loopback without a token.")
@click.option("--fleet", metavar="DIR", help="Folder that all nodes of a fleet share.")
@click.option("--durability", type=click.Choice(["always", "interval", "never"]), help="When appends are synced (always).")
@click.option("--grace", "grace_s", metavar="SECONDS", help="Time to finish documents in flight when told to stop.")
@click.option("--log-format", type=click.Choice(["auto", "console", "json"]), help="JSON unless on a terminal (auto).")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False), help="INFO.")
def serve(config: Path | None, **options: Any) -> None:
    """Start a node: receive documents over HTTP and run them through the deployed graphs.

    Every setting can also stand in pypes.ini or in the environment (PYPES_SERVER_BIND). SIGTERM and Ctrl-C finish what is in
    flight, SIGHUP rereads settings, certificate, components and graphs, SIGUSR2 replaces the ingest processes one by one.
    """
    flags = {_SETTINGS[name]: value for name, value in options.items() if value not in (None, ())}
    load = partial(load_settings, config, flags)
    settings = load()
    # only now: --help and a mistake in the settings should not wait for it
    with lasting():
        from pypes.runtime.own_secrets import configure_logs

        configure_logs(settings)
        from pypes.runtime.supervisor.supervisor import Supervisor

    # every process of the node inherits it
    raise_soft_limit()
    asyncio.run(Supervisor(settings, load).run())

"""The balancers of ``deploy/``, started before nodes of a test: the same files, but for addresses and what needs rights."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pypes.testing.node import Node, free_port
from tests.deploy.settings import DEPLOY
from tests.needed import missing
from tests.servers.process import running

HAPROXY, NGINX = DEPLOY / "haproxy" / "haproxy.cfg", DEPLOY / "nginx" / "pypes.conf"

#: The name that clients use, which the nodes have to know.
HOST = "docs.example.org"


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if found is None:
        missing(f"{name} is not there: apt-get install nginx-light haproxy")
        raise AssertionError
    return found


def _with_nodes(text: str, line: str, nodes: Sequence[Node]) -> str:
    """The settings with a line for each node, after the pattern of the line for the first, in place of all such lines."""
    pattern = re.compile(rf"^( *){line}$", re.MULTILINE)
    first = True

    def lines(found: re.Match[str]) -> str:
        nonlocal first
        is_first, first = first, False
        rest = found[0].replace("node1", "node{number}").replace("10.0.0.11:8080", "127.0.0.1:{port}")
        return "\n".join(rest.format(number=number, port=node.port) for number, node in enumerate(nodes)) if is_first else ""

    found = pattern.search(text)
    assert found is not None
    return pattern.sub(lines, text)


@contextmanager
def haproxy(base: Path, nodes: Sequence[Node]) -> Iterator[str]:
    """HAProxy before the nodes; gives its address."""
    port = free_port()
    text = _with_nodes(HAPROXY.read_text(), r"server node\d .*", nodes).replace("bind :80\n", f"bind 127.0.0.1:{port}\n")
    settings = base / "haproxy.cfg"
    settings.write_text(text)
    with running([_program("haproxy"), "-db", "-f", settings], port, base / "haproxy.log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx(base: Path, nodes: Sequence[Node]) -> Iterator[str]:
    """nginx before the nodes; gives its address."""
    port = free_port()
    text = NGINX.read_text()
    head, *upstreams = re.split(r"(?m)(?=^upstream )", text)
    text = head + "".join(_with_nodes(each, r"server 10\.0\.0\.\d+:8080 .*", nodes) for each in upstreams)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    paths = "".join(f"{kind}_temp_path {base / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    settings = base / "nginx.conf"
    # workers that are root, too: what they write is in a folder of the test's own
    settings.write_text(
        f"user root; worker_processes 2; daemon off; pid {base / 'nginx.pid'}; error_log {base / 'nginx.error'};\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    )
    with running([_program("nginx"), "-e", base / "nginx.error", "-c", settings], port, base / "nginx.log"):
        yield f"http://127.0.0.1:{port}"


BALANCERS: dict[str, Callable[[Path, Sequence[Node]], object]] = {"haproxy": haproxy, "nginx": nginx}

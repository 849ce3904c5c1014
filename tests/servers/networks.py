"""Nodes in network namespaces of their own, so that what goes between two of them can be cut, in each direction by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node
from tests.fleet.nodes import GRAPH, ORDERED, Fleet, listing

#: The network of the test's own, of addresses for documentation of which nobody has any (RFC 5737).
ADDRESS = "198.51.100.{}"


def ip(*arguments: str) -> None:
    """Run the tool of that name. Raises ``CalledProcessError``."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Networks:
    """The namespaces of some nodes, all of which reach each other."""

    def __init__(self, count: int) -> None:
        self._prefix = f"p{os.getpid() % 100_000}"
        self._count = count

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make them, and have nothing left of them in the end."""
        bridge = f"{self._prefix}b"
        with ExitStack() as stack:
            ip("link", "add", bridge, "type", "bridge")
            stack.callback(ip, "link", "del", bridge)
            ip("addr", "add", ADDRESS.format(254) + "/24", "dev", bridge)
            ip("link", "set", bridge, "up")
            for number in range(self._count):
                name, outer = self.name(number), f"{self._prefix}v{number}"
                ip("netns", "add", name)
                stack.callback(ip, "netns", "del", name)
                ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
                ip("link", "set", outer, "master", bridge, "up")
                for what in (("addr", "add", self.address(number) + "/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
                    ip("-n", name, *what)
                ip("-n", name, "link", "set", "lo", "up")
            yield

    def name(self, number: int) -> str:
        return f"{self._prefix}n{number}"

    def address(self, number: int) -> str:
        return ADDRESS.format(number + 1)

    def cut(self, source: int, target: int) -> None:
        """Have nothing of what one node sends come to another."""
        ip("-n", self.name(source), "route", "add", "blackhole", self.address(target) + "/32")

    def mend(self, source: int, target: int) -> None:
        ip("-n", self.name(source), "route", "del", "blackhole", self.address(target) + "/32")


@contextmanager
def apart(base: Path, count: int = 3, **options: Any) -> Iterator[tuple[Fleet, Networks]]:
    """A fleet whose nodes are each in a network namespace."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip (apt-get install iproute2)")
    networks = Networks(count)
    with ExitStack() as stack:
        try:
            stack.enter_context(networks.made())
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces can be made here: {error.stderr.decode()}")
        listed, environ = listing(base, patience_s=1.0)
        nodes = []
        for number in range(count):
            environs = options.get("environs", {}).get(number, {})
            node = Node(base / f"n{number}", GRAPH, "--insecure", workers=1, instances=1, environ={**environ, **environs})
            node.add(ORDERED)
            node.command = [
                "ip",
                "netns",
                "exec",
                networks.name(number),
                *node.command,
                "--bind",
                f"{networks.address(number)}:8080",
            ]
            node.url = f"http://{networks.address(number)}:8080"
            nodes.append(node)
        listed.write_text("\n".join(node.url for node in nodes))
        for node in nodes:
            stack.callback(node.close)
            node.start()
            node.wait_ready()
        found = Fleet(base, nodes)
        found.wait_whole()
        yield found, networks

"""Tokens when processes are killed: what was answered holds, for all workers, at the first request after it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from pypes.access.register import Register
from pypes.access.store import TokenStore
from pypes.testing.node import Node, running, until
from tests.access.kept import control_file
from tests.api.asking import GRAPH
from tests.api.callers import ADMIN, Caller, calling, make

ROUNDS = 6

#: Does what is asked, and dies at the statement with the number that it is given.
DYING = """
import os, signal, sys
from pathlib import Path
from pypes.access.issuing import Issuer
from pypes.access.store import TokenStore

path, what, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = TokenStore(path)
issuer = Issuer(store, lambda: True)
count = 0

def step(sql):
    global count
    count += 1
    if count > last:
        os.kill(os.getpid(), signal.SIGKILL)

store._db.set_trace_callback(step)
if what == "create":
    print(issuer.create("t", ["read"])[1], flush=True)
elif what == "revoke":
    issuer.revoke("t")
    print("answered", flush=True)
else:
    issuer.change("t", {"scopes": ["ingest"]})
    print("answered", flush=True)
step("")
print("over", flush=True)
"""


def die(path: Path, what: str, last: int) -> list[str]:
    """The lines that a process wrote before it died."""
    done = subprocess.run([sys.executable, "-c", DYING, str(path), what, str(last)], capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("what", ["create", "change", "revoke"])
def test_a_kill_at_any_statement_leaves_what_was_before_or_all_of_it(tmp_path: Path, what: str) -> None:
    steps = 0
    while True:
        folder = tmp_path / str(steps)
        folder.mkdir()
        path = control_file(folder)
        secret = "" if what == "create" else die(path, "create", 1_000)[0]
        said = die(path, what, steps)
        secret = secret or (said[0] if said else "")
        with closing(Register(path, "own")) as register, closing(TokenStore(path, is_reader=True)) as store:
            client = register.bearer(f"Bearer {secret}".encode())
            token = store.one("t")
            if what == "create":
                assert (client is not None) == bool(said)
            elif what == "revoke":
                assert token is not None
                assert (client is None) == (token.revoked is not None)
                assert client is None or not said
            else:
                assert client is not None
                assert set(client.scopes) == ({"ingest"} if said else set(client.scopes) & {"read", "ingest"})
                assert len(client.scopes) == 1
        if "over" in said:
            break
        steps += 1
    assert steps > 3, "nothing was ever in between"


def ask(caller: Caller, method: str, path: str, secret: str, body: Any = None) -> int:
    return caller.ask(method, path, secret, body)[0]


@pytest.mark.parametrize("victim", ["supervisor", "arbiter", "worker"])
def test_what_was_revoked_stays_so_whatever_is_killed(tmp_path: Path, victim: str) -> None:
    generator = random.Random(victim)
    with running(tmp_path, GRAPH, workers=2, instances=1, environ={"PYPES_TOKEN": ADMIN}) as node:
        for number in range(ROUNDS):
            name = f"t-{number}"
            with calling(node) as callers:
                secret = make(callers[0], name, "ingest", "read")
                for caller in callers:
                    assert ask(caller, "POST", "/docs", secret, {"a": 1}) == 202
                answered = revoking(node, callers[0], name, victim, generator.uniform(0.0, 0.01))
            if victim == "supervisor":
                node.start()
            node.wait_ready()
            until(lambda: len(node.roles()["worker"]) == 2, 30, "two workers")
            with calling(node) as callers:
                found = {ask(caller, "POST", "/docs", secret, {"a": 1}) for caller in callers}
                if answered:
                    assert found == {401}
                else:
                    assert found in ({202}, {401})
                assert ask(callers[0], "DELETE", f"/tokens/{name}", ADMIN) == 204
                for caller in callers:
                    until(lambda c=caller, s=secret: ask(c, "POST", "/docs", s, {"a": 1}) == 401, 20, "it is revoked")


def revoking(node: Node, caller: Caller, name: str, victim: str, delay_s: float) -> bool:
    """Have a token revoked, and a process killed meanwhile; True if the answer says that it is done."""
    answered: list[int] = []

    def revoke() -> None:
        with suppress(OSError, HTTPException):
            answered.append(ask(caller, "DELETE", f"/tokens/{name}", ADMIN))

    revoker = threading.Thread(target=revoke)
    process = node.roles()[victim][0]
    revoker.start()
    time.sleep(delay_s)  # anywhere between the request and some time after its answer
    if victim == "supervisor":
        node.kill()
    else:
        process.kill()
    revoker.join(30)
    assert not revoker.is_alive()
    return answered == [204]

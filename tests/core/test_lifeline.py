import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from pypes.core.lifeline import Lifeline, ProcessGroup, watch

#: Starts a child that watches its lifeline, prints both pids, and waits to be killed.
OWNER = """
import os, subprocess, sys
from pypes.core.lifeline import Lifeline
lifeline = Lifeline()
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(lifeline.fd), str(os.getpid())], pass_fds=[lifeline.fd])
sys.stdin.read()
"""
WATCHES = (
    "import sys, time; from pypes.core.lifeline import watch; watch([int(sys.argv[1])]); print('up', flush=True); time.sleep(60)"
)
STUCK = (
    "import sys, signal; from pypes.core.lifeline import die_with_parent; die_with_parent(int(sys.argv[2]));"
    " print('up', flush=True); signal.sigwait([signal.SIGUSR1])"
)


@pytest.mark.parametrize(
    "child",
    [WATCHES, pytest.param(STUCK, marks=pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's"))],
)
def test_a_child_does_not_outlive_its_killed_owner(child: str) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, child], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
        finally:
            owner.send_signal(signal.SIGKILL)
        # the child holds the other end of this pipe: it reads as ended only when the child is gone
        readable, _, _ = select.select([owner.stdout], [], [], 10)
        assert readable
        assert owner.stdout.read() == b""


#: Leads a group that its owner's death has to end, and in which nobody can react to anything.
LEADS = """
import signal, subprocess, sys
from pypes.core.lifeline import die_with
die_with(int(sys.argv[1]), int(sys.argv[2]))
subprocess.Popen(["sleep", "60"])
print("up", flush=True)
signal.sigwait([signal.SIGUSR1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the signal of a pipe is Linux's")
def test_a_group_does_not_outlive_the_killed_owner_of_its_leader() -> None:
    script = OWNER.replace("pass_fds", "process_group=0, pass_fds")
    with subprocess.Popen([sys.executable, "-c", script, LEADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"up\n"
        finally:
            owner.send_signal(signal.SIGKILL)
        # leader and program hold the other end of this pipe
        assert select.select([owner.stdout], [], [], 10)[0]
        assert owner.stdout.read() == b""


def test_closing_the_lifeline_is_noticed() -> None:
    lifeline = Lifeline()
    ended = threading.Event()
    watcher = watch([os.dup(lifeline.fd)], ended.set)
    assert not ended.is_set()
    lifeline.close()
    assert ended.wait(5)
    watcher.join(5)


def test_a_group_is_killed_whole() -> None:
    script = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print('up', flush=True); sys.stdin.read()"
    leader = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
    group = ProcessGroup(leader.pid)
    try:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"up\n"
        assert not group.reap()
    finally:
        group.signal(signal.SIGKILL)
    assert leader.wait(10) == -signal.SIGKILL
    with leader.stdout, leader.stdin:  # type: ignore[union-attr]
        assert select.select([leader.stdout], [], [], 10)[0]
        assert leader.stdout.read() == b""
    group.signal(signal.SIGKILL)
    assert group.reap()

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes.observe.log_ring import LEAST_BYTES, LogRing, RingReader, ring_path

LINES = st.lists(st.binary(max_size=LEAST_BYTES // 4), max_size=60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p.1.log"


def test_lines_are_read_as_they_come(path: Path) -> None:
    ring = LogRing(path, LEAST_BYTES)
    reader = RingReader(path)
    assert reader.read() == []
    ring.write(b"one")
    ring.write(b"")
    assert reader.read() == [b"one", b""]
    ring.write(b"two")
    assert reader.read() == [b"two"]
    assert reader.read() == []
    assert RingReader(path).read() == [b"one", b"", b"two"]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@given(st.lists(LINES, max_size=4))
def test_the_newest_lines_are_there_and_those_that_were_read_do_not_come_again(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[bytes]]
) -> None:
    path = tmp_path_factory.mktemp("ring") / "p.1.log"
    ring, reader = LogRing(path, LEAST_BYTES), RingReader(path)
    for lines in rounds:
        for line in lines:
            ring.write(line)
        found = reader.read()
        assert found == lines[len(lines) - len(found) :]
        # at least as much as fits, with eight bytes before each line and less than eight behind
        size = 0
        for kept, line in enumerate(reversed(lines)):
            size += len(line) + 15
            if size > LEAST_BYTES:
                break
            assert kept < len(found)
    ring.close()
    reader.close()


def test_a_line_that_is_too_long_is_refused(path: Path) -> None:
    ring = LogRing(path, LEAST_BYTES)
    ring.write(b"x" * ring.most_bytes)
    with pytest.raises(ValueError, match="a line of 1025 bytes; at most 1024 fit"):
        ring.write(b"x" * (ring.most_bytes + 1))


def test_no_half_line_is_shown_wherever_its_process_dies(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = LogRing(path, LEAST_BYTES)
    for number in range(200):
        ring.write(f"line {number}".encode() * 9)

    class Died(BaseException):
        pass

    def half(position: int, data: bytes) -> None:
        put(position, data[: len(data) // 2])
        raise Died

    put = ring._put
    monkeypatch.setattr(ring, "_put", half)
    before = RingReader(path).read()
    with pytest.raises(Died):
        ring.write(b"z" * 1000)
    after = RingReader(path).read()
    assert after
    assert after == before[len(before) - len(after) :]


def test_a_line_that_is_not_whole_ends_what_is_read(path: Path) -> None:
    ring = LogRing(path, LEAST_BYTES)
    ring.write(b"whole")
    ring.write(b"damaged")
    data = bytearray(path.read_bytes())
    data[data.index(b"damaged")] ^= 1
    path.write_bytes(data)
    assert RingReader(path).read() == [b"whole"]
    # numbers that cannot be: no reader is led astray by them
    for at in (16, 24):
        data[at : at + 8] = (1 << 40).to_bytes(8, sys.byteorder)
        path.write_bytes(data)
        assert RingReader(path).read() == []


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 5000])
def test_a_file_that_is_no_ring_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"empty file|no log ring"):
        RingReader(path)


def test_a_forked_process_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = LogRing(path, LEAST_BYTES)
    ring.write(b"mine")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    ring.write(b"of the child")
    assert RingReader(path).read() == [b"mine"]


def test_the_lines_of_a_killed_process_are_there(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pypes.observe.log_ring import LogRing, ring_path\n"
        "ring = LogRing(ring_path(Path(sys.argv[1]), 'p'), 1 << 16)\n"
        "for number in range(5000): ring.write(b'line %d' % number)\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        [path] = tmp_path.iterdir()
        assert path.name == f"p.{process.pid}.log"
        reader = RingReader(path)
        assert not reader.is_orphaned()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert reader.is_orphaned()
    lines = reader.read()
    assert lines[-1] == b"line 4999"
    assert lines == [b"line %d" % number for number in range(5000 - len(lines), 5000)]


def test_its_file_is_named_for_the_process() -> None:
    assert ring_path(Path("/r"), "instance-3") == Path(f"/r/instance-3.{os.getpid()}.log")

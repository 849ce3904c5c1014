"""The generated module is what the schema says, and messages say what packets say."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pypes import protobuf
from pypes.errors import InvalidInput
from pypes.packet import Packet
from pypes.protobuf import body_of, message_of

FOLDER = Path(protobuf.__file__).parent
#: The version of the generator, as the extra ``test`` pins it: another one writes other text.
GENERATOR = "1.76.0"


@pytest.mark.skipif(version("grpcio-tools") != GENERATOR, reason=f"pip install grpcio-tools=={GENERATOR}")
def test_the_generated_module_is_that_of_the_schema(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, "pypes.proto"], check=True)
    for name in ("pypes_pb2.py", "pypes_pb2.pyi"):
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), f"generate {name} anew: {' '.join(command)}"


def test_the_test_extra_pins_the_generator() -> None:
    assert f'"grpcio-tools=={GENERATOR}"' in (FOLDER.parents[1] / "setup.py").read_text()


@pytest.mark.parametrize("value", [object(), {1}, 2**64, -(2**63) - 1, 1j, ["a", {"b": object()}]])
def test_what_no_message_can_say_is_named(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^f.*no message can say"):
        message_of(Packet.from_document({"f": value}))


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypes.protobuf.pypes_pb2", None)
    monkeypatch.delattr(protobuf, "pypes_pb2", raising=False)
    with pytest.raises(InvalidInput, match=r"pip install 'pypes-server\[protobuf\]'"):
        body_of([Packet()])


def test_bodies_in_a_row_are_one_body() -> None:
    packets = [Packet({"n": n}) for n in range(3)]
    assert body_of(packets[:1]) + body_of(packets[1:]) == body_of(packets)

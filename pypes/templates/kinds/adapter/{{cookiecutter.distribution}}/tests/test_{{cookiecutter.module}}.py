"""{{cookiecutter.component}}, run by the real scheduler."""

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component

from {{cookiecutter.package}}.{{cookiecutter.module}} import {{cookiecutter.component}}


class TestContract(ComponentSuite):
    """What every component must show: ports described, parameters with help, odd packets survived."""

    component = {{cookiecutter.component}}


def test_a_packet_for_each_line() -> None:
    packets = run_component({{cookiecutter.component}}, [Packet({"data": b"one\n\ntwo\n"})]).packets
    assert [(packet.get("text"), packet.get_meta("row")) for packet in packets] == [("one", 1), ("two", 3)]


def test_a_deletion_passes() -> None:
    deletion = Packet()
    deletion.set_meta("requestmethod", "DELETE")
    assert run_component({{cookiecutter.component}}, [deletion]).packets == [deletion]

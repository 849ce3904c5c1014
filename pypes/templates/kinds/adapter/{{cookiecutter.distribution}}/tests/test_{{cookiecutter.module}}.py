"""{{cookiecutter.component}}, run by the real scheduler."""

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component

from {{cookiecutter.package}}.{{cookiecutter.module}} import {{cookiecutter.component}}


class TestContract(ComponentSuite):
    """What every component must show: ports described, parameters with help, odd packets survived."""

    component = {{cookiecutter.component}}


def test_a_part_for_each_line() -> None:
    document = Packet({"data": b"one\n\ntwo\n"}, {"id": "notes"})
    packets = run_component({{cookiecutter.component}}, [document]).packets
    assert [(packet.get("text"), packet.id) for packet in packets] == [("one", "notes/line=1"), ("two", "notes/line=3")]


def test_a_deletion_passes() -> None:
    deletion = Packet()
    deletion.set_meta("requestmethod", "DELETE")
    assert run_component({{cookiecutter.component}}, [deletion]).packets == [deletion]


def test_a_dead_letter_that_was_edited_to_say_its_text_passes() -> None:
    edited = Packet({"text": "said by hand"})
    assert run_component({{cookiecutter.component}}, [edited]).packets == [edited]

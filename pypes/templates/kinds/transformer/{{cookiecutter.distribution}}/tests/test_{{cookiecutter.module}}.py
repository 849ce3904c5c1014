"""{{cookiecutter.component}}, run by the real scheduler."""

from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component

from {{cookiecutter.package}}.{{cookiecutter.module}} import {{cookiecutter.component}}


class TestContract(ComponentSuite):
    """What every component must show: ports described, parameters with help, odd packets survived."""

    component = {{cookiecutter.component}}


def test_values_are_stripped() -> None:
    [packet] = run_component({{cookiecutter.component}}, [Packet({"name": "  a  "})], field="name").packets
    assert packet.get("name") == "a"


def test_other_values_pass() -> None:
    [packet] = run_component({{cookiecutter.component}}, [Packet({"title": 1})]).packets
    assert packet.get("title") == 1

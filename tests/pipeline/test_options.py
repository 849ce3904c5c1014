"""Options of pipelines, nodes, pools and programs: what has another form than was asked for is told when it is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypes import Command, Packet, Pipeline, Pool, Transformer, component, node, steps
from pypes.errors import InvalidInput
from pypes.pipeline.options import MOST_S
from tests.pipeline.samples import pair, same


class Passing(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


DOCUMENTS = Path(__file__).parents[2] / "graphs" / "documents.json"
NO_COUNTS = (0, -1, True, False, 1.5, 2.0, "2", [2], math.nan, math.inf)
NO_FLAGS: tuple[Any, ...] = (0, 1, 2, "", "no", "yes", None, [])
NO_SECONDS = (0, -1, True, "1", [1], math.nan, math.inf, 1e300, 10**400)
NO_TIMES = (True, "1", [1], math.nan, math.inf, 1e300)

#: By option, how it is given, the values that it cannot have, and what is said of it beside the value.
WRONG: dict[str, tuple[Callable[[Any], Any], tuple[Any, ...], str]] = {
    "node(produces=)": (lambda value: node(same, produces=value), NO_COUNTS, "produces must be a whole number from 1 on"),
    "node(consumes=)": (lambda value: node(same, consumes=value), NO_COUNTS, "consumes must be a whole number from 1 on"),
    "node(spawn=)": (lambda value: node(same, spawn=value), (*NO_COUNTS, 257), "spawn must be a whole number from 1 to 256"),
    "node(stride=)": (
        lambda value: node(same, threads=1, stride=value),
        (*NO_COUNTS, 1025),
        "stride must be a whole number from 1 to 1024",
    ),
    "node(threads=)": (
        lambda value: node(same, threads=value),
        (*NO_COUNTS, 257),
        "threads must be a whole number from 1 to 256",
    ),
    "node(processes=)": (
        lambda value: node(same, processes=value),
        (*NO_COUNTS, 65),
        "processes must be a whole number from 1 to 64",
    ),
    "node(pool=)": (lambda value: node(same, pool=value), (2, True, "p", [2], Pool, {"processes": 2}), "pool must be a Pool"),
    "node(timeout_s=)": (
        lambda value: node(same, processes=1, timeout_s=value),
        NO_SECONDS,
        "timeout_s must be a number of seconds greater than zero",
    ),
    "node(memory=)": (
        lambda value: node(same, processes=1, memory=value),
        (0, -1, True, "x", "", 1.5, [1], "1 KiB", b"2"),
        "memory must be ",
    ),
    "node(repeat=)": (lambda value: node(same, produces=2, repeat=value), NO_FLAGS, "repeat must be True or False"),
    "Pool(processes=)": (
        lambda value: Pool(processes=value),
        (*NO_COUNTS, 65),
        "processes must be a whole number from 1 to 64",
    ),
    "Pool(timeout_s=)": (lambda value: Pool(threads=1, timeout_s=value), NO_SECONDS, "timeout_s must be a number of seconds"),
    "buffer=": (lambda value: Pipeline(same, buffer=value), (*NO_COUNTS, None), "buffer must be a whole number from 1 on"),
    "instances=": (
        lambda value: Pipeline(same, instances=value),
        (*NO_COUNTS, 65),
        "instances must be a whole number",
    ),
    "ordered=": (lambda value: Pipeline(same, ordered=value), NO_FLAGS, "ordered must be True or False"),
    "progress=": (lambda value: Pipeline(same, progress=value), NO_FLAGS, "progress must be True or False"),
    "errors=": (
        lambda value: Pipeline(same, errors=value),
        (True, 1, "x", "Skip", None, []),
        "errors must be one of return, skip, raise",
    ),
    "track=": (lambda value: Pipeline(same, track=value), (None, 5, True, b"same", same), "track must be a list of names"),
    "track=[…]": (lambda value: Pipeline(same, track=[value]), ("x", 1, None), "track: there is no function"),
    "limits=": (lambda value: Pipeline(same, limits=value), (5, "x", {}), "limits must be an object of"),
    "observer=": (lambda value: Pipeline(same, observer=value), (5, "x", {}), "observer must be an object of pypes.observe"),
    "pools=": (
        lambda value: Pipeline(Passing, pools=value),
        (5, "x", None, [1], {"a": 5}),
        "pools must be a dictionary",
    ),
    "nodes=": (lambda value: Pipeline(nodes=value), ([same], "x", 5), "nodes must be a dictionary"),
    "nodes={…:}": (
        lambda value: Pipeline(nodes={value: same}),
        (5, "", "a.b", None),
        "the name of a node is a text without dots",
    ),
    "wires=": (lambda value: Pipeline(nodes={"a": same}, wires=value), (None, 5, "a.out"), "wires must be a list of pairs"),
    "wires=[…]": (
        lambda value: Pipeline(nodes={"a": same, "b": same}, wires=[value]),
        (None, 5, "a.out", ("a.out",), ("a", "b.in"), ("a.out", "b"), (1, 2), {"a.out": "b.in"}),
        "a wire is two ends with their ports",
    ),
    "a filter": (
        lambda value: Pipeline(value),
        (None, 5, [same], (same,), {}, object(), b"x"),
        "a pipeline is made of functions, components, graphs and other pipelines",
    ),
    "start(to=)": (lambda value: Pipeline(same).start([], to=value), (5, "x", []), "to must be a function"),
    "feed()": (
        lambda value: Pipeline(same).feed(value),
        (5, None, "x"),
        "feed must be a function",
    ),
    "feed(idle_s=)": (lambda value: Pipeline(same).feed(print, idle_s=value), NO_SECONDS, "idle_s must be a number of seconds"),
    "feed(source=)": (lambda value: Pipeline(same).feed(print, source=value), ("x", 5, None), "source must be stream or batch"),
    "next(timeout_s=)": (
        lambda value: Pipeline(same).run([1]).next(timeout_s=value),
        NO_TIMES,
        "timeout_s must be a number of seconds, or None",
    ),
    "wait(timeout_s=)": (
        lambda value: Pipeline(same).start([1]).wait(timeout_s=value),
        NO_TIMES,
        "timeout_s must be a number of seconds, or None",
    ),
    "steps()": (lambda value: steps(value), (5, None, "x"), "a step is a function"),
    "component()": (lambda value: component(value), (5, "x", int), "@component makes a component of a function"),
    "Command()": (lambda value: Command(value), (None, 5, "ls", [], [5], ["cat", None], [["cat"]]), "a command is a list"),
    "Command(files=)": (lambda value: Command(["cat", "{in}"], files=value), NO_FLAGS, "files must be True or False"),
    "Command(timeout_s=)": (lambda value: Command(["cat"], timeout_s=value), NO_SECONDS, "timeout_s must be a number"),
    "Command(max_bytes=)": (lambda value: Command(["cat"], max_bytes=value), NO_COUNTS, "max_bytes must be a whole number"),
    "Command(env=)": (
        lambda value: Command(["cat"], env=value),
        (5, "x", ["a"], {"a": 5}, {5: "a"}, {"a=b": "c"}, {"": "c"}),
        "env must be a dictionary",
    ),
    "Command(cwd=)": (lambda value: Command(["cat"], cwd=value), (5, b"/", []), "cwd must be the path of a folder"),
    "Command(encode=)": (lambda value: Command(["cat"], encode=value), (5, "x"), "encode must be a function"),
    "Command(decode=)": (lambda value: Command(["cat"], decode=value), (5, "x"), "decode must be a function"),
    "save()": (lambda value: Pipeline(len).save(value), (5, None, [], ""), "is no path of a file"),
    "load()": (lambda value: Pipeline.load(value), (5, None, []), "a graph is the path of its file"),
    "load(load=)": (
        lambda value: Pipeline.load(DOCUMENTS, load=value),
        ("x.py",),
        "load is a list",
    ),
    "deploy()": (lambda value: Pipeline(Passing).deploy(value), (5, None, []), "deploy: url must be a text"),
    "deploy(routes=)": (
        lambda value: Pipeline(Passing).deploy("http://127.0.0.1:1", routes=value),
        ("abc",),
        "deploy: routes is a list of names",
    ),
}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param(option, each, id=f"{option} {at}")
        for option, (_, values, _) in WRONG.items()
        for at, each in enumerate(values)
    ],
)
def test_a_wrong_value_is_told(option: str, value: Any) -> None:
    give, _, said = WRONG[option]
    with pytest.raises(InvalidInput) as raised:
        give(value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: node(same, stride=2), "stride=2: it is for threads, processes or a pool only"),
        (lambda: node(same, repeat=True), "repeat needs produces="),
        (lambda: node(same, threads=1, processes=1), "give one of threads and processes"),
        (lambda: node(same, timeout_s=1), "timeout_s and memory belong to threads or processes"),
        (lambda: Pool(), "a pool has threads= or processes="),
        (lambda: Pool(threads=1, processes=1), "a pool has threads= or processes="),
        (lambda: Pool(threads=1, memory="1 GiB"), "memory is that of a process"),
        (lambda: Pipeline(node(Pipeline(same), threads=2)), "its own nodes say where they run"),
        (lambda: Pipeline(node(DOCUMENTS, threads=2)), "its own nodes say where they run"),
        (lambda: Pipeline(node(Passing.on(processes=2), threads=2)), "its on(…) says where it runs"),
        (lambda: Pipeline(node(Passing, produces=2)), "produces and consumes are for functions"),
        (
            lambda: Pipeline(
                nodes={"a": same, "join": node(pair, consumes=2)}, wires=[("a.out", "join.left"), ("a.out", "join.right")]
            ),
            "consumes is for functions of one parameter",
        ),
        (lambda: Pipeline(same, pools={"same": {"threads": 2}}), "'same' is a function: say node(…, processes=…)"),
        (lambda: Pipeline(same, pools={"none": {"threads": 2}}), "there is no filter 'none'; there are same"),
        (lambda: Pipeline(track="same", nodes={"same": same}), "track is a list of names, such as ['same']"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_that_do_not_go_together_are_told(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        make()
    assert said in str(raised.value)


def test_what_options_may_be_is_taken() -> None:
    Pipeline(node(same, produces=1, consumes=1, spawn=1, threads=1, stride=1, timeout_s=MOST_S)).close()
    Pipeline(node(Pipeline(same)), nodes=None, track=(), limits=None, observer=None, pools={}).close()
    with Pipeline(same) as pipeline:
        assert pipeline.run([1]).next(timeout_s=MOST_S) == 1
        with pytest.raises(TimeoutError):
            pipeline.run(iter(lambda: 1, 1)).next(timeout_s=-1)

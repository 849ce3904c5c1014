"""Wiring: the filters of a graph as a scheduler has them, in their order, with wires between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pypes.component import ERROR_PORT, Batching, Component, check_batching, is_publisher
from pypes.core.returned import unrun
from pypes.core.shown import shown
from pypes.errors import ComponentError, InvalidComponent
from pypes.graph.model import Graph
from pypes.graph.plan import Plan
from pypes.observe import WireName
from pypes.runtime.scheduler.batch_driver import BatchDriver
from pypes.runtime.scheduler.concurrent_driver import ConcurrentDriver
from pypes.runtime.scheduler.core import Core, is_no_failure
from pypes.runtime.scheduler.driver import Driver
from pypes.runtime.scheduler.gathering_driver import GatheringDriver
from pypes.runtime.scheduler.holding_driver import HoldingDriver
from pypes.runtime.scheduler.loop_driver import LoopDriver
from pypes.runtime.scheduler.observing import ObservedWire
from pypes.runtime.scheduler.outport import OutPort
from pypes.runtime.scheduler.policies import Policies
from pypes.runtime.scheduler.pooling import placing_of
from pypes.runtime.scheduler.process_driver import ProcessDriver
from pypes.runtime.scheduler.roster import Roster
from pypes.runtime.scheduler.wire import Wire

#: Packets that a filter may work on at once: each has a thread.
MOST_CONCURRENCY = 64

#: Methods that a component finds on itself while it is in a graph, instead of those that look for the driver first.
_DIRECT = ("send", "receive", "receive_all", "yield_ctrl")


class Wiring(NamedTuple):
    """``drivers`` are in the order in which they run."""

    drivers: list[Driver]
    wires: list[Wire]
    by_name: dict[str, Driver]
    roster: Roster


def build(core: Core, policies: Policies, graph: Graph, components: Mapping[str, Component]) -> Wiring:
    """Make drivers and wires of a graph. Call :func:`attach` when the scheduler has them."""
    for name, component in components.items():
        _check_numbers(name, component)
    plan = Plan(graph)
    by_name: dict[str, Driver] = {}
    # what sends on nothing may come last, publishers after whatever else may fail: see `on_committed`
    senders = {each.source for each in graph.wires}
    last = [name for name in plan.order if name not in senders and is_publisher(components[name])]
    order = [name for name in plan.order if name not in last] + last
    ports_of: dict[str, set[str]] = {}
    for each in graph.wires:
        ports_of.setdefault(each.target, set()).add(each.input)
    for index, name in enumerate(order):
        component, node = components[name], graph.nodes[name]
        batching = Batching.of(component, node)
        check_batching(component, batching)
        is_join = len(ports_of.get(name, ())) > 1
        is_gathering = batching.is_given and not is_join
        driver_class = GatheringDriver if is_gathering else _driver_class(component, is_join)
        driver = by_name[name] = driver_class(core, policies, name, component, index)
        driver.max_attempts = node.max_attempts
        if isinstance(driver, GatheringDriver):
            driver.gather(batching)
    made = []
    for each in graph.wires:
        source, target = by_name[each.source], by_name[each.target]
        wire = _wire(core, WireName(each.source, each.output, each.target, each.input), target)
        source.outs.setdefault(each.output, OutPort(each.output, [])).wires.append(wire)
        target.inputs.setdefault(each.input, []).append(wire)
        made.append(wire)
    for name, driver in by_name.items():
        ports = driver.component.get_in_ports()
        ports = (["in"] if "in" in ports or not ports else []) + ports
        if not driver.inputs:
            driver.inputs[ports[0]] = [_wire(core, WireName("", "", name, ports[0]), driver)]
        driver.entry = next(driver.inputs[port][0] for port in ports if port in driver.inputs)
        driver.ancestors = tuple(by_name[a] for a in plan.ancestors[name])
    drivers = list(by_name.values())
    for driver in reversed(drivers):
        driver.reach_beside_error = driver.bit | _reach(driver, drivers, lambda port: port != ERROR_PORT)
        driver.reach = driver.bit | _reach(driver, drivers, lambda port: True)
    publishers = tuple(driver.name for driver in by_name.values() if driver.is_publisher)
    return Wiring(drivers, made, by_name, Roster(tuple(by_name), publishers, len(publishers) > 1))


def _reach(driver: Driver, drivers: list[Driver], counts: Callable[[str], bool]) -> int:
    """The bits of all filters behind some ports of one; those after it have theirs already."""
    found = 0
    for port, out in driver.outs.items():
        if counts(port):
            for wire in out.wires:
                found |= drivers[wire.bit.bit_length() - 1].reach
    return found


def _wire(core: Core, name: WireName, target: Driver) -> Wire:
    capacity = target.wire_capacity
    if core.observation is not None:
        return ObservedWire(name, capacity, target.bit, core.ready, core.observation)
    return Wire(str(name), capacity, target.bit, core.ready)


def attach(drivers: list[Driver], graph: Graph) -> int:
    """Let drivers work out what their turns need to know, and components find them; returns the bits of the joins."""
    joins = 0
    for driver in reversed(drivers):  # downstream first: a filter looks at the one it leads to
        driver.wired()
        if driver.is_join:
            joins |= driver.bit
    for driver in drivers:
        component = driver.component
        component.name = driver.name
        component.graph_name = graph.name
        component.inherits = graph.inherit
        component._run_context = driver
        direct: Iterable[str] = _DIRECT
        if isinstance(driver, LoopDriver):
            component._expected = driver.expected
            direct = [method for method in _DIRECT if method != "send"]  # which looks at what is expected first
        for method in direct:  # PERF: one call less per packet
            if getattr(type(component), method) is getattr(Component, method):
                setattr(component, method, getattr(driver, method))
    return joins


def set_up(driver: Driver) -> None:
    """Set a component up. Raises ``ComponentError`` naming the filter."""
    try:
        fault = unrun(driver.component.setup(), "setup")  # type: ignore[func-returns-value]
        if fault is not None:
            raise fault
    except BaseException as error:
        if is_no_failure(error):
            raise
        raise ComponentError(
            f"set-up failed: {shown(error, driver.core.secrets.redact)}", code="graph.setup_failed", where=driver.name
        ) from error


def tear_down(driver: Driver) -> None:
    """End what is left of a filter's turn, and tear its component down; what that raises is logged."""
    _quietly(driver, driver.kill)
    tear_component_down(driver)


def tear_component_down(driver: Driver) -> None:
    """Tear a component down; what that raises is logged."""
    _quietly(driver, driver.component.teardown)
    detach(driver)


def end_greenlet(driver: Driver) -> None:
    """End the greenlet of a filter that has nothing in hand; another one begins with its next turn."""
    _quietly(driver, driver.kill)
    driver.let_go()


def _quietly(driver: Driver, end: Callable[[], None]) -> None:
    try:
        end()
    except BaseException as error:
        if is_no_failure(error):
            raise
        driver.component.log.exception("teardown failed")


def detach(driver: Driver) -> None:
    """Undo :func:`attach` for a component."""
    for method in _DIRECT:
        driver.component.__dict__.pop(method, None)
    driver.component._expected = {}
    driver.component._run_context = None


def _check_numbers(name: str, component: Component) -> None:
    """Raise :class:`InvalidComponent` for an attribute that the runtime would have to calculate with and cannot."""
    for attribute in ("max_attempts", "max_hold_s", "timeout_s"):
        value = getattr(component, attribute)
        if attribute == "timeout_s" and value is None:
            continue
        if not isinstance(value, int | float) or not value >= 0:  # NaN is no greater than anything
            raise InvalidComponent(f"{attribute} must be a number of at least 0, not {shown(value)}", where=name)


def _driver_class(component: Component, is_join: bool) -> type[Driver]:
    if component.holds and is_publisher(component):
        raise InvalidComponent(
            "a publisher cannot hold packets; put a batching operator before the publisher", where=type(component).__name__
        )
    check_concurrency(component)
    if placing_of(component) is not None:
        return ConcurrentDriver
    if component.is_original_style():
        return LoopDriver
    if component.process_batch is not None:
        return BatchDriver
    if component.concurrency > 1 and not is_join:
        return ConcurrentDriver
    return HoldingDriver if component.holds else ProcessDriver


def check_concurrency(component: Component) -> None:
    """Raise :class:`InvalidComponent` if a component says that it works on several packets at once and cannot."""
    if type(component.concurrency) is not int or not 1 <= component.concurrency <= MOST_CONCURRENCY:
        reason = f"concurrency must be a whole number from 1 to {MOST_CONCURRENCY}, not {shown(component.concurrency)}"
    elif component.concurrency == 1:
        return
    elif is_publisher(component):
        reason = "a publisher has one commit for all that it took, so it cannot work on several packets at once"
    elif component.is_original_style() or component.process_batch is not None or component.holds:
        reason = "only a component with process, which holds nothing, can work on several packets at once"
    elif component.isolated:
        reason = "an isolated component has one process for its packets, so it cannot work on several at once"
    else:
        return
    raise InvalidComponent(f"{reason}; leave out concurrency", where=type(component).__name__)

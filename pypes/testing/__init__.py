"""Aids for tests of component authors and of Pypes: running one component, and the behaviour that every component must show."""

from pypes.testing.component import Result, run_component
from pypes.testing.example import run_example
from pypes.testing.publishers import PublisherSuite
from pypes.testing.suite import ComponentSuite

__all__ = ["ComponentSuite", "PublisherSuite", "Result", "run_component", "run_example"]

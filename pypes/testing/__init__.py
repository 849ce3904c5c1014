"""Aids for tests of component authors and of Pypes: running one component, and the behaviour that every component must show."""

from pypes.testing.component import Result, run_component
from pypes.testing.example import run_example
from pypes.testing.suite import ComponentSuite

__all__ = ["ComponentSuite", "Result", "run_component", "run_example"]

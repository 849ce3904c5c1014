import pytest

from pypes.errors import InvalidInput, NotFound, Problem
from pypes.graph.spec import ComponentSpec
from pypes.registry.catalogue import Catalogue


def test_a_component_that_is_not_there_is_not_found_by_its_address_and_a_problem_of_what_names_it() -> None:
    catalogue = Catalogue([ComponentSpec("SetField")])
    assert catalogue.used("SetField", "component") is catalogue.find("SetField")
    with pytest.raises(NotFound):
        catalogue.find("SetFeild")
    with pytest.raises(InvalidInput) as unknown:
        catalogue.used("SetFeild", "component")
    assert not isinstance(unknown.value, NotFound)
    message = "unknown component 'SetFeild'; did you mean 'SetField'?"
    assert unknown.value.problems == (Problem("component", message, "component.unknown"),)

"""docs/components.md tells of all components, as they are, docs/limits.md of their bounds, and docs/metrics.md of all metrics."""

from __future__ import annotations

import jsonschema_rs

from tests.catalogue import pages, specs


def test_the_pages_are_those_of_these_components() -> None:
    for path, text in pages(specs()).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: python -m tests.catalogue writes it anew"


def test_bounds_of_components_are_among_the_limits() -> None:
    (limits,) = (text for path, text in pages(specs()).items() if path.name == "limits.md")
    assert "| `max_chars` | 33,554,432 | Longest text of one document, in characters. | `Archive`, `DOCX`, " in limits
    assert "| `longest` | 100,000 | Longest text, in characters. | `Embed`, " in limits


def test_every_component_says_what_it_is_and_shows_how_it_works() -> None:
    for spec in specs():
        assert spec["doc"].strip(), spec["name"]
        assert spec["icon"], spec["name"]
        assert spec["tags"], spec["name"]
        assert spec["example"], spec["name"]


def test_nodes_can_check_parameters_by_every_schema() -> None:
    """A pattern that is no regular expression for the validator would have each graph with the component refused."""
    for spec in specs():
        try:
            jsonschema_rs.validator_for(spec["schema"])
        except jsonschema_rs.ValidationError as error:
            raise AssertionError(f"{spec['name']}: {error.message}") from error

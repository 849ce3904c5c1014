"""Template: what is rendered, and its bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pypes import Packet
from pypes.errors import InvalidInput
from pypes.testing import ComponentSuite, run_component
from pypes_basic.template import Template

from .packages import packages


def rendered(template: str, packet: Packet, **params: Any) -> Any:
    result = run_component(Template, [packet], template=template, **params)
    if result.dead_letters:
        [letter] = result.dead_letters
        return letter.code, letter.error
    return result.packets[0].get(params.get("field", "text"))


class TestTemplate(ComponentSuite):
    component = Template
    params = {"template": "{{ title }}"}

    def test_packages_as_lines(self) -> None:
        template = "{{ name }} {{ version }}{% for each in requires if 'extra' not in each %}\n  {{ each }}{% endfor %}\n"
        given = packages()
        result = run_component(Template, given, template=template, field="line")
        expected = [
            f"{packet.get('name')} {packet.get('version')}"
            + "".join(f"\n  {each}" for each in packet.get("requires") if "extra" not in each)
            + "\n"
            for packet in given
        ]
        assert [packet.get("line") for packet in result.packets] == expected
        assert [packet.get("text") for packet in result.packets] == [packet.get("text") for packet in given]

    def test_fields_metadata_and_what_is_missing(self) -> None:
        packet = Packet({"title": "A", "page no": 3, "meta": "m"}, {"filename": "a.txt"})
        template = "{{ title }}|{{ fields['page no'] }}|{{ meta.filename }}|{{ fields.meta }}|{{ no }}|{{ no.deeper }}|"
        assert rendered(template, packet) == "A|3|a.txt|m|||"
        code, error = rendered(template, packet, missing="error")
        assert (code, error) == ("template.failed", "the template failed: `no` is undefined")
        assert rendered("{{ no|default('-') }}", packet, missing="error") == "-"

    def test_values_are_escaped_as_asked_for(self) -> None:
        packet = Packet({"title": '<i>"x"</i>'})
        assert rendered("<b>{{ title }}</b>", packet) == '<b><i>"x"</i></b>'
        assert rendered("<b>{{ title }}</b>", packet, escape="html") == "<b>&lt;i&gt;&quot;x&quot;&lt;&#x2f;i&gt;</b>"
        assert json.loads(rendered('{"t": {{ title }}}', packet, escape="json")) == {"t": '<i>"x"</i>'}

    def test_bounds(self) -> None:
        code, error = rendered("{{ title * 9 }}", Packet({"title": "0123456789"}), max_chars=80)
        assert (code, error.partition(",")[0]) == ("template.failed", "the text has 90 characters")
        code, error = rendered("{% for i in range(n) %}{% for j in range(n) %}{% endfor %}{% endfor %}", Packet({"n": 1000}))
        assert (code, error) == (
            "template.failed",
            "the template failed: it takes more steps than it may; make its loops shorter",
        )

    def test_a_fault_tells_no_values(self) -> None:
        code, error = rendered("{{ title + 1 }}", Packet({"title": "secret words"}))
        assert code == "template.failed"
        assert "secret" not in error

    def test_a_deletion_passes(self) -> None:
        packet = Packet({}, {"requestmethod": "DELETE", "id": "a"})
        [found] = run_component(Template, [packet], template="x").packets
        assert found.is_deletion
        assert not found.has("text")

    def test_other_templates_and_inner_names_are_out_of_reach(self) -> None:
        assert rendered("{% include '/etc/hostname' %}", Packet())[0] == "template.failed"
        assert rendered("{{ title.__class__ }}", Packet({"title": "x"})) == ""

    @pytest.mark.parametrize(
        ("template", "fault"), [("{% for %}", "unexpected end of block"), ("a\n{{ }}", "(line 2)"), ("{{ a", "end of input")]
    )
    def test_a_bad_template_is_refused(self, template: str, fault: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            Template().configure({"template": template})
        problem = caught.value.problems[0]
        assert problem.path == "template"
        assert fault in problem.message

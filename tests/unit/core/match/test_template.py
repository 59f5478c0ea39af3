"""`${…}` in job configurations."""

import pytest

from workflow_scheduler.core.errors import Rejected, ValidationFailed
from workflow_scheduler.core.match import template

VARIABLES = {
    "input": {"name": "Ada", "n": 3, "flag": True, "none": None, "list": [1, "b"], "object": {"a": 1}, "rate": 1.5},
    "event": {"data": {"amount": 120}},
    "jobs": {"load": {"output": {"files": ["x", "y"]}}},
    "steps": {"load": {"output": {"files": ["x", "y"]}}},
    "env": {"STAGE": "prod"},
    "run": {"id": "r1"},
}


def fill(value, **more):
    return template.parse(value, "jobs.a.with", **more).render(VARIABLES)


def problems(value, **more):
    with pytest.raises(ValidationFailed) as caught:
        template.parse(value, "jobs.a.with", **more)
    return {error.field: error.message for error in caught.value.errors}


@pytest.mark.parametrize("name", ["name", "n", "flag", "none", "list", "object", "rate"])
def test_a_single_expression_keeps_the_type_of_its_value(name):
    value = fill({"x": f"${{input.{name}}}"})["x"]
    assert value == VARIABLES["input"][name]
    assert type(value) is type(VARIABLES["input"][name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello ${input.name}!", "Hello Ada!"),
        ("${input.name}${input.n}", "Ada3"),
        ("<${input.flag}> <${input.none}> <${input.rate}>", "<true> <null> <1.5>"),
        ("${input.list} and ${input.object}", '[1,"b"] and {"a":1}'),
        (" ${input.n}", " 3"),
        ("${ input.n + 1 }", 4),
        ("${jobs.load.output.files[1]} ${steps.load.output.files[0]}", "y x"),
        ("${env.STAGE}-${run.id}-${event.data.amount}", "prod-r1-120"),
        ("${'}' + input.name}", "}Ada"),
        ("${{'a': input.n}.a}", 3),
        ("$${input.name} ${input.name}", "${input.name} Ada"),
        ("costs $5 and ${input.n}$", "costs $5 and 3$"),
    ],
)
def test_texts(text, expected):
    assert fill({"x": text}) == {"x": expected}


def test_expressions_are_found_at_every_depth_and_the_rest_stays():
    value = {"a": [{"b": "${input.n}"}, 1, None], "c": {"d": ["x", "${input.name}"]}, "e": True}
    assert fill(value) == {"a": [{"b": 3}, 1, None], "c": {"d": ["x", "Ada"]}, "e": True}


def test_a_value_without_expressions_is_static_and_is_not_copied_when_rendered():
    parsed = template.parse({"a": ["x", {"b": 1}]}, "jobs.a.with")
    assert parsed.static
    assert parsed.render({}) is parsed.value


def test_an_escape_alone_is_static():
    parsed = template.parse({"a": "$${HOME}", "b": ["$${x}"]}, "jobs.a.with")
    assert parsed.static
    assert parsed.value == {"a": "${HOME}", "b": ["${x}"]}


def test_rendering_twice_gives_independent_values():
    parsed = template.parse({"a": "${input.n}", "b": {"c": "${input.name}"}}, "jobs.a.with")
    first = parsed.render(VARIABLES)
    first["b"]["c"] = "changed"
    assert parsed.render(VARIABLES) == {"a": 3, "b": {"c": "Ada"}}


def test_values_are_not_parsed_again():
    assert template.parse("${input.x}!", "f").render({"input": {"x": "${input.secret}"}}) == "${input.secret}!"


def test_a_missing_value_names_field_and_expression():
    with pytest.raises(Rejected, match=r"jobs\.a\.with\.x\[0\]: \$\{input\.nope\.deep\} has no value.*input\.nope"):
        fill({"x": ["${input.nope.deep}"]})


def test_syntax_errors_come_all_at_once_with_their_fields():
    found = problems({"a": "${1 +}", "b": ["ok", "${unknown.x}"], "c": "${}", "d": "${input.x", "e": "${input.n}"})
    assert set(found) == {"jobs.a.with.a", "jobs.a.with.b[1]", "jobs.a.with.c", "jobs.a.with.d"}
    assert "unknown name" in found["jobs.a.with.b[1]"]
    assert "is empty" in found["jobs.a.with.c"]
    assert "not closed" in found["jobs.a.with.d"]


def test_nesting_is_bounded():
    value = "${input.n}"
    for _ in range(150):
        value = [value]
    assert "nested deeper" in next(iter(problems({"x": value}).values()))


def test_only_named_fields_are_commands():
    value = {"command": "echo ${input.name}", "other": "echo ${input.name}; x"}
    parsed = template.parse(value, "f", shell_fields=("command",))
    variables = {"input": {"name": "a; b"}}
    assert parsed.render(variables) == {"command": "echo 'a; b'", "other": "echo a; b; x"}


def test_values_in_commands_that_are_not_texts_are_one_word_of_json():
    assert fill({"command": "x ${input.object} ${input.list}"}, shell_fields=("command",)) == {
        "command": """x '{"a":1}' '[1,"b"]'"""
    }


def test_a_command_that_is_one_expression_is_quoted_too():
    assert template.parse({"command": "${input.x}"}, "f", shell_fields=("command",)).render(
        {"input": {"x": "rm -rf /"}}
    ) == {"command": "'rm -rf /'"}


def test_raw_fields_stay_as_they_are():
    value = {"code": "x = '${input.n} $${y}'", "args": ["${input.n}"]}
    assert fill(value, raw_fields=("code",)) == {"code": "x = '${input.n} $${y}'", "args": [3]}


def test_a_condition_is_checked_under_the_name_of_its_field():
    with pytest.raises(ValidationFailed) as caught:
        template.check("jobs.a.", "jobs.b.if")
    assert [error.field for error in caught.value.errors] == ["jobs.b.if"]
    assert template.check("input.flag", "jobs.b.if").judge(VARIABLES).result is True

"""Reading definition files: values, bounds, and every mistake at its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.definition.load import digest, from_value, parse, parse_all, read
from workflow_scheduler.core.errors import DefinitionInvalid, SchedulerError, TooLarge

GOOD = """# a comment
version: 1
name: nightly-report
jobs:
  a: {run: "echo hi", timeout: 15m}
  b:
    needs: [a]
    uses: noop
"""


def mistakes(text, kind=None):
    with pytest.raises(DefinitionInvalid) as caught:
        parse(text, kind)
    return [(e.field, e.line, e.column, e.message, e.suggestion) for e in caught.value.errors]


def test_yaml_becomes_a_definition():
    loaded = parse(GOOD)
    assert loaded.format == "yaml"
    assert loaded.definition.jobs["a"].timeout == 900
    assert loaded.definition.jobs["b"].needs == ("a",)
    assert loaded.value["jobs"]["a"]["timeout"] == "15m"
    assert loaded.source == GOOD


def test_json_becomes_the_same_definition():
    yaml = parse(GOOD)
    loaded = parse(json.dumps(yaml.value))
    assert loaded.format == "json"
    assert loaded.definition == yaml.definition
    assert loaded.hash == yaml.hash


def test_the_hash_does_not_depend_on_spelling_or_order():
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})


def test_several_documents_in_one_file():
    found = parse_all("name: a\n---\nname: b\n---\n")
    assert [loaded.definition.name for loaded in found] == ["a", "b"]
    assert mistakes("name: a\n---\nname: b\n")[0][3] == "the file holds 2 definitions where one is wanted"


def test_mistakes_in_the_second_document_have_their_lines_in_the_file():
    with pytest.raises(DefinitionInvalid) as caught:
        parse_all("name: a\n---\nname: b\nnmae: c\n")
    assert [(e.field, e.line, e.column) for e in caught.value.errors] == [("nmae", 4, 1)]


@pytest.mark.parametrize(
    ("text", "field", "line", "column", "message"),
    [
        ("name: x\ntrigers: {}", "trigers", 2, 1, "unknown field `trigers`, did you mean `triggers`?"),
        ("name: x\nnodes: 5", "nodes", 2, 8, "must be a list of nodes"),
        ("version: 1", "name", 1, 1, "`name` is required"),
        ("name: x\nversion: 2", "version", 2, 10, "`2` is not known here; must be `1`"),
        ("name: 5", "name", 1, 7, "must be a text, not `5`"),
        ("name: x\njobs: [a]", "jobs", 2, 7, "must be a mapping, not a list"),
        ("name: x\njobs:\n  a: {run: x, neds: []}", "jobs.a.neds", 3, 15,
         "unknown field `neds`, did you mean `needs`?"),
        ("name: x\njobs:\n  a: {run: x, needs: b}", "jobs.a.needs", 3, 22, "must be a list, not `b`"),
        ("name: x\njobs:\n  a:\n    run: x\n    retry:\n      attempts: 0", "jobs.a.retry.attempts", 6, 17,
         "must be at least 1"),
        ("name: x\njobs:\n  a: {run: x, retry: {backof: fixed}}", "jobs.a.retry.backof", 3, 23,
         "unknown field `backof`, did you mean `backoff`?"),
        ("name: x\njobs:\n  a: {run: x, zzz: [1]}", "jobs.a.zzz", 3, 15, "unknown field `zzz`"),
        ("name: x\nconcurrency: {max_runs: 0}", "concurrency.max_runs", 2, 25, "must be at least 1"),
        ("name: x\ntimeout: 5q", "timeout", 2, 10,
         "`5q` is not a duration; write a number and a unit, for example 90s, 15m, 2h or 7d"),
        ("- 1", "", 1, 1, "a definition is a mapping that begins with `version: 1` and `name:`"),
        ("", "", 1, 1, "the file is empty"),
        ("# only a comment", "", 1, 1, "the file is empty"),
        ("name: x\nname: y", "", 2, 1, "the key `name` is there twice; it was given first in line 1"),
        ('{"name": "x",\n "name": "y"}', "", 2, 2, "the key `name` is there twice; it was given first in line 1"),
        ('{"name": "x", "jobs": {"a": {"run": 5}}}', "jobs.a.run", 1, 37, "must be a text, not `5`"),
        ('{"name": "x", "jobs": {"a": {"run": "x",\n "needs": ["b", 5]}}}', "jobs.a.needs[1]", 2, 17,
         "must be a text, not `5`"),
        ("name: *x", "", 1, 7, "the alias `*x` names no anchor above it"),
        ("name: &a [*a]", "", 1, 11, "the alias `*a` names no anchor above it"),
        ("name: !!python/x {}", "", 1, 7, "the tag `tag:yaml.org,2002:python/x` is not supported"),
        ("name: x\nmax_depth: 99999999999999999999", "", 2, 12, "the number is too large; write it in quotes"),
        ("name: x\ntimeout: .inf", "", 2, 10, "`.inf` is not a number that JSON can hold"),
        ("name: x\n\tjobs: {}", "", 2, 1, "a tab cannot be used for indentation; use spaces"),
        ("? [a]\n: b", "", 1, 3, "a key must be a plain text"),
        ('name: "\\uD800"', "", 1, 7, "the text holds NUL or half of a surrogate pair, which cannot be stored"),
        ('name: "a\\0"', "", 1, 7, "the text holds NUL or half of a surrogate pair, which cannot be stored"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_stands(text, field, line, column, message):
    found = mistakes(text)
    assert any(entry[:3] == (field, line, column) and entry[3].startswith(message) for entry in found)


def test_all_mistakes_come_at_once_in_the_order_of_their_lines():
    found = mistakes("trigers: {}\nversion: 3\njobs:\n  a: {run: 1, neds: []}\n")
    assert [entry[0] for entry in found] == ["name", "trigers", "version", "jobs.a.run", "jobs.a.neds"]


def test_a_suggestion_stands_beside_the_sentence():
    assert mistakes("name: x\njobs: {a: {run: x, run_if: all_succes}}")[0][4] == "all_success"


def test_the_summary_names_the_first_place_and_the_number_of_others():
    with pytest.raises(DefinitionInvalid, match=r"line 2, column 1: `aa`: unknown field `aa` \(and 1 more\)"):
        parse("name: x\naa: 1\nbb: 2\n")


def test_yaml_1_2_has_no_hidden_booleans_dates_or_octals():
    loaded = parse("name: x\nenv: {a: 'on', b: \"5\"}\ndescription: 2020-01-01\njobs: {}\n")
    assert loaded.value["description"] == "2020-01-01"
    assert read("a: on\nb: 010\nc: 0o10\nd: 1_000\ne: yes\nf: ~\ng: TRUE\nh: 1e3\ni: 0x1F\n")[0].document.value == {
        "a": "on", "b": 10, "c": 8, "d": "1_000", "e": "yes", "f": None, "g": True, "h": 1000.0, "i": 31,
    }  # fmt: skip


def test_merge_keys_and_anchors_are_expanded():
    text = "name: x\njobs:\n  a: &base {run: echo, timeout: 5m}\n  b: {<<: *base, timeout: 1m}\n"
    jobs = parse(text).definition.jobs
    assert (jobs["b"].run, jobs["b"].timeout) == ("echo", 60)


def test_flow_yaml_that_looks_like_json_is_read_as_yaml():
    assert parse("{name: x}").format == "yaml"


def test_broken_json_is_reported_as_json():
    assert "not valid JSON" in mistakes('{"name": "x"')[0][3]
    assert mistakes('{"name": "é",\n,}', "json")[0][1:3] == (2, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5_000,
        '{"a":' * 5_000,
        "a: " + "[" * 60 + "]" * 60,
        json.dumps({"a": 0}).replace("0", "[" * 60 + "]" * 60),
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8)),
        b"name: \xff\xfe",
        b"\x00\x01",
        "name: \x07",
        "%YAML 9.9\n---\nname: x",
        "name: [1",
        "name: {a",
        "name: 'x",
        "a: b: c",
        "\ud800",
    ],
)
def test_hostile_texts_are_refused_as_definitions(text):
    with pytest.raises(SchedulerError) as caught:
        parse(text)
    assert caught.value.status == 422
    assert caught.value.errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "!" * 200_000, "more than 100,000 characters"),
        ("[" + "a," * 100_000, "not valid JSON"),
        ('{"a": [' + "1," * 250_000 + "1]}", "more than 200,000 values"),
        ("a\n---\n" * 20_000, "more than 100,000 values"),
    ],
)
def test_texts_that_would_take_long_are_refused_early(text, message):
    assert message in mistakes(text)[0][3]


def test_a_text_beyond_the_limit_is_too_large():
    with pytest.raises(TooLarge, match="1,000,000 bytes"):
        parse("#" * 1_000_001)


def test_not_utf8_is_shown_where_it_begins():
    assert mistakes(b"name: x\ndescription: \xff")[0][1:4] == (2, 14, "the file is not UTF-8")


def test_a_value_without_text_has_no_lines():
    with pytest.raises(DefinitionInvalid) as caught:
        from_value({"name": "x", "joobs": {}})
    assert [(e.field, e.line, e.suggestion) for e in caught.value.errors] == [("joobs", None, "jobs")]


def test_a_value_without_text_is_bounded_as_well():
    deep = {}
    for _ in range(60):
        deep = {"a": deep}
    with pytest.raises(DefinitionInvalid, match="nested"):
        from_value(deep)


@given(st.text(max_size=200))
def test_any_text_gives_a_definition_or_a_clear_refusal(text):
    refusal = None
    try:
        parse(text)
    except SchedulerError as error:
        refusal = error
    assert refusal is None or (refusal.status == 422 and refusal.errors)


KEYS = st.text('ab.[]"\n é', max_size=4)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=20,
    )
)  # fmt: skip
def test_json_positions_exist_for_every_value(value):
    document = read(json.dumps({"v": value}, indent=1), "json")[0].document

    def walk(part, path):
        assert path in document.find_places().values
        pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, inner in pairs:
            walk(inner, (*path, key))

    assert document.value == {"v": value}
    walk(document.value, ())

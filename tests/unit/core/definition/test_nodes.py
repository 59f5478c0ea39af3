"""The node form: what it becomes, where its mistakes stand, and that it leads back to the same document."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.definition.as_nodes import as_nodes
from workflow_scheduler.core.definition.check import inspect
from workflow_scheduler.core.definition.load import digest, read, read_value
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.registry import discover

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


def node(id, subtype="NOOP", type="ACTION", **more):  # noqa: A002 -- the words of the form
    return {"id": id, "type": type, "subtype": subtype, **more}


def trigger(id, subtype="MANUAL", **parameters):  # noqa: A002
    return {"id": id, "type": "TRIGGER", "subtype": subtype, "parameters": parameters}


def flow(nodes, connections=None, **more):
    return {"name": "w", "nodes": nodes, **({} if connections is None else {"connections": connections}), **more}


def document(value):
    return inspect(read_value(value), TRIGGERS, JOBS, 0).loaded.value


def mistakes(value):
    with pytest.raises(DefinitionInvalid) as caught:
        inspect(read_value(value), TRIGGERS, JOBS, 0)
    return {one.field: one.message for one in caught.value.errors}


def needs(connections, **more):
    value = document(flow([node("a"), node("b"), node("c")], connections, **more))
    return {name: job["needs"] for name, job in value["jobs"].items() if "needs" in job}


def test_the_field_names_of_the_requirement_make_triggers():
    value = document(
        flow(
            [
                trigger("clock", "CRON", cron_expression="0 9 * * MON-FRI", timezone="America/New_York", enabled=True),
                trigger("hand", "MANUAL", enabled=True, require_confirmation=False),
                trigger("hook", "WEBHOOK", webhook_path="/webhook/my-workflow", allowed_methods=["POST", "PUT"],
                        enabled=True, signature="none"),
                trigger("push", "GITHUB", github_app_installation_id="12345678", repository="owner/repo-name",
                        secret="gh", event_config={"push": {"branches": ["main"], "paths": ["src/**", "*.md"]}}),
                node("say", "HTTP", parameters={"url": "https://example.test"}, retry={"attempts": 2}),
            ],
            [{"from": "clock", "to": "say"}],
        )
    )  # fmt: skip
    assert {name: one["type"] for name, one in value["triggers"].items()} == {
        "clock": "cron", "hand": "manual", "hook": "webhook", "push": "github",
    }  # fmt: skip
    assert value["triggers"]["clock"]["cron_expression"] == "0 9 * * MON-FRI"
    assert value["jobs"] == {"say": {"uses": "http", "with": {"url": "https://example.test"}, "retry": {"attempts": 2}}}


@pytest.mark.parametrize(
    "connections",
    [
        [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}],
        [{"id": "e1", "source": "a", "target": "b", "sourceHandle": None}, {"source": "b", "target": "c"}],
        [{"from_node": "a", "to_node": "b", "output_key": "result"}, {"from_node": "b", "to_node": "c"}],
        [["a", "b"], ["b", "c"]],
        {"a": "b", "b": ["c"]},
        {"a": {"main": [[{"node": "b", "type": "main", "index": 0}]]}, "b": {"main": [[{"node": "c"}], []]}},
    ],
)
def test_the_common_shapes_of_connections_say_the_same(connections):
    assert needs(connections) == {"b": ["a"], "c": ["b"]}


@pytest.mark.parametrize("word", ["on_failure", "failure", "error"])
def test_a_connection_has_a_condition(word):
    expected = {"b": [{"job": "a", "condition": "on_failure"}]}
    assert needs([{"from": "a", "to": "b", "condition": word}]) == expected
    assert needs([{"source": "a", "target": "b", "sourceHandle": word}]) == expected
    assert needs({"a": {word: [[{"node": "b"}]]}}) == expected


def test_nodes_with_ids_that_are_no_names_are_named_after_what_they_are_called():
    nodes = [node(1), node("2f-9", name="Send it"), node("x y", name="send"), node("x z")]
    value = document(flow(nodes, {"Send it": {"main": [[{"node": "send"}]]}}))
    assert list(value["jobs"]) == ["node_1", "node_2f-9", "send", "x_z"]
    assert value["jobs"]["send"]["needs"] == ["node_2f-9"]
    assert value["jobs"]["node_2f-9"]["description"] == "Send it"


def test_nodes_stay_opaque_where_an_engine_elsewhere_runs_them():
    nodes = [trigger("t"), node("ask", "OPENAI_CHATGPT", "AI_AGENT", parameters={"model": "x"}), node("say", "My_Own")]
    value = document(flow(nodes, [["t", "ask"], ["ask", "say"]], engine="http"))
    assert value["jobs"]["ask"] == {"uses": "AI_AGENT.OPENAI_CHATGPT", "with": {"model": "x"}}
    assert value["jobs"]["say"] == {"uses": "My_Own", "needs": ["ask"]}
    assert as_nodes(value)["nodes"][1]["type"] == "AI_AGENT"


def test_every_mistake_points_at_its_node():
    found = mistakes(
        flow(
            [
                trigger("a", "CRON", cron="61 * * * *"),
                trigger("b", "SLAK"),
                trigger("c", "WEBHOOK", webhook_path="x", allowed_methods=["PUSH"]),
                node("d", "HTTP", parameters={"urll": "x"}, retri=1),
                node("e", "HTP"),
                node("d", "NOOP"),
                {"id": "f", "type": "ACTION"},
                {"id": "g", "type": "TRIGGER"},
                trigger("h", "WEBHOOK"),
                7,
            ],
            [{"from": "d", "to": "zz"}, {"from": "d", "to": "a"}, {"from": "d", "to": "e", "condition": "sometimes"}],
        )
    )
    assert {
        "nodes[0].parameters.cron", "nodes[1].subtype", "nodes[2].parameters.allowed_methods[0]",
        "nodes[2].parameters.signature",
        "nodes[3].parameters.urll", "nodes[3].parameters.url", "nodes[3].retri", "nodes[4].subtype", "nodes[5].id",
        "nodes[6].subtype", "nodes[7].subtype", "nodes[8].parameters.signature", "nodes[9]",
        "connections[0]", "connections[1]", "connections[2].condition",
    } <= set(found)  # fmt: skip
    assert not [field for field in found if field.startswith(("jobs", "triggers"))]


def test_a_trigger_type_that_is_not_installed_is_named():
    found = mistakes(flow([trigger("t", "PIGEON"), node("a")]))
    assert "`pigeon`" in found["nodes[0].subtype"]


def test_circles_and_unknown_references_point_at_connections_and_nodes():
    found = mistakes(flow([node("a"), node("b")], [["a", "b"], ["b", "a"]]))
    assert [field for field in found if field.startswith(("connections", "nodes"))]
    found = mistakes(flow([node("a", parameters={"output": "${jobs.b.output}"}), node("b")]))
    assert list(found) == ["nodes[0].parameters.output"]


def test_mistakes_have_the_line_and_column_of_the_text():
    text = (
        'name: w\nnodes:\n- {id: t, type: TRIGGER, subtype: CRON, parameters: {cron: "61 * * * *"}}\n'
        "- id: a\n  type: ACTION\n"
    )
    with pytest.raises(DefinitionInvalid) as caught:
        inspect(read(text)[0], TRIGGERS, JOBS, 0)
    places = {one.field: (one.line, one.column) for one in caught.value.errors}
    assert places["nodes[0].parameters.cron"] == (3, 60)
    assert places["nodes[1].subtype"] == (4, 3)


def test_a_trigger_that_is_drawn_to_start_a_part_is_refused():
    nodes = [trigger("t"), trigger("u"), node("a"), node("b")]
    assert "connections[0]" in mistakes(flow(nodes, [["t", "a"], ["u", "a"], ["u", "b"]]))
    assert document(flow(nodes, [["u", "a"], ["u", "b"]]))["jobs"].keys() == {"a", "b"}


def test_the_two_forms_are_not_mixed():
    assert "jobs" in mistakes({**flow([node("a")]), "jobs": {"b": {"uses": "noop"}}})


def test_the_written_value_is_left_alone():
    value = flow([node("a"), node("b", needs=["a"]), node("c")], [["c", "b"]])
    before = json.dumps(value)
    assert document(value)["jobs"]["b"]["needs"] == ["a", "c"]
    assert json.dumps(value) == before


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
TRIGGER_VALUES = st.sampled_from(
    [
        {"type": "manual"},
        {"type": "cron", "cron": "0 2 * * *", "condition": "true", "description": "x"},
        {"type": "webhook", "path": "p", "signature": {"scheme": "none"}, "enabled": False, "input": {"a": [1]}},
    ]
)
JOB_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "with": st.sampled_from([{}, {"output": 1}, {"output": {"type": "x", "id": 3}}]),
        "retry": st.just({"attempts": 3}),
        "timeout": st.just("5m"),
        "if": st.just("true"),
        "description": st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=5),
        "order_index": st.integers(0, 9),
        "map": st.just([1, 2]),
    },
)


@st.composite
def documents(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    jobs = {}
    for number, name in enumerate(names):
        job = draw(JOB_VALUES)
        job |= draw(st.sampled_from([{"uses": "noop"}, {"run": "echo"}, {"uses": "sleep_for"}, {"uses": "Own.Kind"}]))
        before = draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        need = st.sampled_from(
            [lambda one: one, lambda one: {"job": one}, lambda one: {"job": one, "condition": "on_failure"}]
        )
        if before or draw(st.booleans()):
            job["needs"] = [draw(need)(one) for one in before]
        jobs[name] = job
    triggers = draw(st.dictionaries(st.one_of(st.sampled_from(names), NAMES), TRIGGER_VALUES, max_size=3))
    engine = draw(st.sampled_from([{}, {"engine": "http"}, {"engine": "embedded", "fail_fast": True}]))
    return {"version": 1, "name": "w", **engine, **({"triggers": triggers} if triggers else {}), "jobs": jobs}


@given(documents())
def test_a_document_comes_back_from_its_nodes_as_it_was(value):
    shown = as_nodes(value)
    back = read_value(shown)
    assert back.document.value == value
    assert digest(back.document.value) == digest(value)
    assert [one for one in back.errors if one.field.startswith(("nodes", "connections"))] == []
    ids = [one["id"] for one in shown["nodes"]]
    assert len(set(ids)) == len(ids)

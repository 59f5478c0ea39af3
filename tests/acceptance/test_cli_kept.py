"""What a trigger keeps: suspended, released, given up, on the command line."""

FLOW = {
    "version": 1,
    "name": "kept",
    "triggers": {"paid": {"type": "event", "event": "kept.paid"}},
    "jobs": {"work": {"uses": "noop"}},
}


def send(flows, *numbers):
    return [flows("events", "send", "kept.paid", "-d", f"n={number}").json["event_id"] for number in numbers]


def inputs(flows):
    runs = flows("runs", "ls", "--workflow", "kept").json["items"]
    return sorted(flows("runs", "show", run["id"]).json["input"]["n"] for run in runs)


def test_what_a_suspended_trigger_keeps_is_released_once_or_given_up(flows):
    flows.deploy(FLOW)
    assert flows("trigger", "suspend", "kept", "--reason", "stocktaking").code == 0
    first, second = send(flows, 1, 2)
    assert inputs(flows) == []
    (line,) = flows("explain", first).json["decisions"]
    assert (line["outcome"], line["reason"]) == ("suspended", "trigger_suspended")
    refused = flows("trigger", "release", "kept")
    assert refused.code != 0
    assert "suspended" in refused.err
    assert flows("trigger", "enable", "kept").code == 0
    assert flows("trigger", "release", "kept").json == {"count": 2, "runs": 2, "failed": [], "more": False}
    assert inputs(flows) == [1, 2]
    assert flows("explain", second).json["decisions"][0]["reason"] == "released"
    assert flows("trigger", "release", "kept").json["count"] == 0
    assert flows("trigger", "suspend", "kept").code == 0
    (third,) = send(flows, 3)
    assert flows("trigger", "discard", "kept/paid").json == {"count": 1, "more": False}
    assert flows("trigger", "enable", "kept").code == 0
    assert flows("trigger", "release", "kept").json["count"] == 0
    assert flows("explain", third).json["decisions"][0]["reason"] == "discarded"
    assert inputs(flows) == [1, 2]

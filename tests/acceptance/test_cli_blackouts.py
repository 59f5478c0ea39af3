"""Blackout windows from the command line, against a real service."""

FLOW = """version: 1
name: etl-orders
triggers:
  yearly: {type: cron, cron: "0 9 24,25 12 *"}
jobs:
  work: {uses: noop}
"""


def test_a_window_from_creation_to_what_it_leaves_out_and_its_end(service, wfs):
    (service.folder / "etl.yaml").write_text(FLOW)
    assert wfs("deploy", "etl.yaml").code == 0
    made = wfs("blackout", "create", "feast", "--cron", "0 0 25 12 *", "--duration", "24h", "--workflow", "etl-*",
               "--mode", "skip", "--reason", "nobody is here", "--json")  # fmt: skip
    assert made.code == 0, made.err
    assert (made.json["mode"], made.json["workflows"], made.json["reason"]) == ("skip", ["etl-*"], "nobody is here")
    assert [one["name"] for one in wfs("blackout", "ls", "--json").json["items"]] == ["feast"]
    assert "0 0 25 12 *" in wfs("blackout", "ls").out
    coming = wfs("next", "etl-orders", "-n", "2", "--json").json["items"]
    by_day = {one["utc"][8:10]: (one["outcome"], one["note"]) for one in coming}
    assert by_day["25"] == ("skipped", "blackout feast")
    assert "does not run: blackout feast" in wfs("next", "etl-orders", "-n", "2").out
    left_out = next(one["utc"] for one in coming if one["outcome"] == "skipped")
    said = wfs("explain", "etl-orders", "--at", left_out)
    assert "a blackout window leaves that time out: blackout feast" in said.out
    preview = ("schedule", "preview", "--cron", "0 9 25 12 *", "-n", "1")
    assert "blackout feast" in wfs(*preview, "--workflow", "etl-orders").out
    assert "blackout" not in wfs(*preview).out
    refused = wfs("blackout", "create", "odd", "--cron", "0 0 25 12 *")
    assert refused.code != 0
    assert "duration" in refused.err
    assert wfs("blackout", "rm", "feast").code == 0
    assert wfs("blackout", "ls", "--json").json["items"] == []
    again = wfs("next", "etl-orders", "-n", "2", "--json").json["items"]
    assert [one["outcome"] for one in again] == ["planned", "planned"]

"""Every field of a schedule from the command line, against a real service."""

FLOW = """version: 1
name: report
jobs:
  work: {uses: noop}
"""
GIVEN = {
    "max_fires": "3", "pause_after_failures": "2", "misfire_grace": "90s", "catchup": "all", "catchup_window": "2h",
    "catchup_max": "7", "catchup_rate": "10/m", "on_resume": "latest", "overlap": "skip", "jitter": "30s",
    "dst_gap": "skip", "dst_overlap": "both", "start_at": "2030-01-01T00:00:00Z", "end_at": "2040-01-01T00:00:00Z",
}  # fmt: skip


def test_a_schedule_is_created_with_all_its_options_and_a_wrong_one_is_named(service, wfs):
    (service.folder / "report.yaml").write_text(FLOW)
    assert wfs("deploy", "report.yaml").code == 0
    options = [part for name, value in GIVEN.items() for part in (f"--{name.replace('_', '-')}", value)]
    made = wfs("schedule", "create", "report", "daily", "--cron", "0 9 * * *", *options, "--json")
    assert made.code == 0, made.err
    config = made.json["config"]
    assert set(GIVEN) - {"overlap"} <= set(config)
    assert (config["max_fires"], config["catchup"], config["dst_overlap"]) == (3, "all", "both")
    refused = wfs("schedule", "create", "report", "odd", "--cron", "0 9 * * *", "--catchup", "sometimes")
    assert refused.code != 0
    assert "catchup" in refused.err

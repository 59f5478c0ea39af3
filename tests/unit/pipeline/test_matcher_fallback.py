"""What a trigger type proposes for an unknown verdict counts where the trigger itself says nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.pipeline.candidates import Compiled
from workflow_scheduler.pipeline.matcher import judge
from workflow_scheduler.testing.hearing import event_from
from workflow_scheduler.triggers import github

PUSH = json.loads((Path(__file__).parents[2] / "fixtures" / "github" / "push.json").read_text())


@pytest.mark.parametrize(
    ("on_unknown", "condition", "outcome", "reason"),
    [
        ("skip", None, Outcome.RUN_STARTED, Reason.UNKNOWN_FIRED),
        ("fire", None, Outcome.RUN_STARTED, Reason.UNKNOWN_FIRED),
        ("hold", None, Outcome.HELD, Reason.UNKNOWN_HELD),
        ("skip", "event.data.ref == 'refs/heads/main'", Outcome.RUN_STARTED, Reason.UNKNOWN_FIRED),
        ("skip", "event.data.ref == 'x'", Outcome.FILTERED, Reason.CONDITION_FALSE),
        ("skip", "event.data.missing == 'x'", Outcome.FILTERED, Reason.UNKNOWN_SKIPPED),
        ("skip", "event.data.ref > 7", Outcome.FILTERED, Reason.CONDITION_ERROR),
    ],
)
def test_a_list_that_was_cut_off(on_unknown: str, condition: str | None, outcome: Outcome, reason: Reason) -> None:
    body = json.dumps({**PUSH, "commits": PUSH["commits"] * 10}).encode()
    request = PushRequest("POST", "/", "", {"x-github-event": "push"}, body, 0)
    view = EventView(event_from("github", github.parse(None, request)[0]))
    config = {"repository": "acme/billing", "events": {"push": {"paths": ["infra/**"]}}}
    trigger = Trigger(
        id="t", tenant_id="local", workflow_id="w", workflow="w", workflow_version=1, name="pushes", type="github",
        config=config, on_unknown=on_unknown, condition=condition,
    )  # fmt: skip
    found = judge(Compiled(trigger, {"github": github}), view, 0)
    assert (found.outcome, found.reason) == (outcome, reason)

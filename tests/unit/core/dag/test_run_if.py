"""The six rules, over every combination of up to three needed jobs."""

from itertools import product
from pathlib import Path

import pytest

from workflow_scheduler.core.dag.conditions import COUNTS
from workflow_scheduler.core.dag.run_if import NEVER_WITHOUT_NEEDS, RULES, WANTS_SUCCESS, Upstream

GOOD, BAD, SKIP, ALLOWED = "succeeded", "failed", "skipped", "allowed"
WORKED = {GOOD, ALLOWED}
BROKE = {BAD, ALLOWED}
EXPECTED = {
    "all_success": lambda ends: all(end in WORKED for end in ends),
    "at_least_one_success": lambda ends: any(end in WORKED for end in ends),
    "none_failed": lambda ends: BAD not in ends and (not ends or any(end in WORKED for end in ends)),
    "all_done": lambda ends: True,
    "at_least_one_failed": lambda ends: any(end in BROKE for end in ends),
    "all_failed": lambda ends: bool(ends) and all(end in BROKE for end in ends),
}
COMBINATIONS = [ends for size in range(4) for ends in product((GOOD, BAD, SKIP, ALLOWED), repeat=size)]


@pytest.mark.parametrize("rule", EXPECTED)
def test_rule_over_every_combination(rule):
    for ends in COMBINATIONS:
        up = Upstream(ends.count(GOOD), ends.count(BAD), ends.count(SKIP), ends.count(ALLOWED))
        assert up.total == len(ends)
        assert RULES[rule](up) == EXPECTED[rule](ends), (rule, ends)


def test_every_rule_has_a_row():
    assert set(RULES) == set(EXPECTED)


def test_rules_that_never_hold_without_needs():
    assert {rule for rule in RULES if not RULES[rule](Upstream(0, 0, 0))} == NEVER_WITHOUT_NEEDS


def test_rules_that_want_success_never_run_when_everything_failed():
    assert all(not RULES[rule](Upstream(0, 2, 0)) for rule in WANTS_SUCCESS)
    assert all(RULES[rule](Upstream(0, 2, 0)) for rule in set(RULES) - WANTS_SUCCESS)


PAGE = Path(__file__).parents[4] / "docs" / "reference" / "run-if.md"


def documented():
    """Return the truth table of the documentation: the ends that there are -> rule -> whether the job runs."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    head = next(line for line in lines if line[0] == GOOD)
    names = [name.strip("`") for name in head[4:]]
    rows = [line for line in lines if line[0] in {"yes", "no"}]
    return {
        frozenset(end for end, there in zip(head[:4], row[:4], strict=True) if there == "yes"): dict(
            zip(names, row[4:], strict=True)
        )
        for row in rows
    }


def test_the_truth_table_of_the_documentation_holds_for_every_combination():
    table = documented()
    assert len(table) == 16
    for ends in COMBINATIONS:
        for rule, expected in EXPECTED.items():
            shown = table[frozenset(ends)][rule]
            assert shown == ("runs" if expected(ends) else "skipped" if ends else "refused"), (rule, ends)


KINDS = (GOOD, BAD, SKIP, ALLOWED)
HOLDS = {"on_failure": {BAD, ALLOWED}, "on_completion": {GOOD, BAD, ALLOWED}}


def test_a_condition_of_a_need_counts_as_success_where_it_holds_and_as_skipped_elsewhere():
    for name, holds in HOLDS.items():
        counted = [KINDS[kind] for kind in COUNTS[name]]
        assert counted == [GOOD if end in holds else SKIP for end in KINDS]

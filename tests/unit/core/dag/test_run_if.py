"""The six rules, over every combination of up to three needed jobs."""

from itertools import product

import pytest

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

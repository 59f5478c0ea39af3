"""Files that are broken anywhere are read or refused, and end nothing else."""

import copy
import json
import random

import pytest
from test_actions import CI
from test_argo import DIAMOND, OUTER

from workflow_scheduler.core.definition import load
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.imports import actions, argo

ODD = (None, True, 0, -1, 1.5, "", "x", "${{", "{{x", [], [1], [None], {}, {"a": 1}, [[]], "a" * 300, {"": ""})


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from places(one, (*path, key))


def changed(value, path, odd):
    if not path:
        return odd
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return made


@pytest.mark.parametrize(
    ("text", "convert"),
    [(CI, actions.convert), (DIAMOND, argo.convert), (OUTER, argo.convert)],
    ids=["actions", "argo", "graphs"],
)
def test_every_value_may_be_anything(text, convert):
    [document] = load.documents_of(text)
    chance = random.Random(7)  # noqa: S311 -- the same choice every time
    for path in places(document.value):
        for odd in chance.sample(ODD, 6):
            broken = json.dumps(changed(document.value, path, odd))
            try:
                for found in convert(load.documents_of(broken)):
                    json.dumps(found.definition)
            except SchedulerError:
                continue

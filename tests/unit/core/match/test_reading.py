"""What an expression may read, and in which form the CEL runtime gets it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.match.expression import evaluate
from workflow_scheduler.core.match.reading import CHARS_MAX, DEPTH_MAX, VALUES_MAX, Meter, TooCostly

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.characters(categories=["Cs"])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=5) | st.dictionaries(st.text(max_size=3), below, max_size=5),
    max_leaves=40,
)


def counted(value: Any) -> tuple[int, int]:
    """The values and the characters of a value, counted one by one."""
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    names = "".join(value) if isinstance(value, dict) else value if isinstance(value, str) else ""
    below = [counted(part) for part in parts]
    return 1 + sum(one[0] for one in below), len(names) + sum(one[1] for one in below)


def converted(value: Any) -> Any:
    if isinstance(value, dict):
        return {converted(name): converted(part) for name, part in value.items()}
    if isinstance(value, list):
        return [converted(part) for part in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return float(value) if type(value) is int and not -(2**63) <= value < 2**63 else value


@given(JSON)
def test_whole_levels_are_counted_and_converted_as_one_value_after_the_other(value: Any) -> None:
    meter = Meter()
    assert meter.read(value) == converted(value)
    assert (meter.values, meter.chars) == counted(value)


def test_plain_json_is_handed_over_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "ü"], "b": {"c": []}}
    assert Meter().read(value) is value


@pytest.mark.parametrize(
    "value",
    [
        [0] * (VALUES_MAX - 1),
        {str(number): number for number in range(VALUES_MAX - 1)},
        [[0]] * ((VALUES_MAX - 1) // 2) + [0],
    ],
    ids=["list", "object", "lists"],
)
def test_ten_thousand_values_are_read_and_no_more(value: Any) -> None:
    meter = Meter()
    meter.read(value)
    assert meter.values == VALUES_MAX
    with pytest.raises(TooCostly, match="more than 10,000 values"):
        meter.read(0)
    assert evaluate("input == input", {"input": value}, ("input",)) is True


def test_characters_and_depth_are_bounded_as_well() -> None:
    assert Meter().read("x" * CHARS_MAX)
    with pytest.raises(TooCostly, match="characters"):
        Meter().read({"x" * CHARS_MAX: "x"})
    nested: Any = 0
    for _ in range(DEPTH_MAX):
        nested = [nested]
    assert Meter().read(nested) is nested
    with pytest.raises(TooCostly, match="nested"):
        Meter().read([nested])

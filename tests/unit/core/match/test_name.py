"""Names by fnmatch's rules, with the standard library as the oracle."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.match.name import compile_name, is_pattern, name_matches
from workflow_scheduler.core.match.pattern import compile_pattern


@given(pattern=st.text("ab*?[]!-.^", max_size=8), text=st.text("ab!-.^]", max_size=6))
def test_names_match_as_fnmatch_does(pattern: str, text: str) -> None:
    if "[" in pattern and ("-" in pattern or "[^" in pattern):
        return  # ranges that make no sense are undefined in fnmatch
    assert compile_name(pattern)(text) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("critical_*", "critical_billing", True),
        ("critical_*", "Critical_billing", False),
        ("*_etl", "sales_etl", True),
        ("*mid*", "amidb", True),
        ("a*a", "a", False),
        ("a?c", "abc", True),
        ("[a-c]x", "bx", True),
        ("[!a]x", "bx", True),
        ("name", "name", True),
        ("a*\n", "ab\n", True),
    ],
)
def test_examples(pattern: str, text: str, expected: bool) -> None:
    assert name_matches(pattern, text) is expected


def test_wildcards_are_recognised() -> None:
    assert is_pattern("a*")
    assert not is_pattern("a.b")


def test_a_regular_expression_is_searched() -> None:
    assert compile_pattern("bot$").search("dependabot")
    assert not compile_pattern("^bot").search("dependabot")
    assert compile_pattern("x").search("\ud800x")


@pytest.mark.parametrize("text", ["(", "a{1001}{1001}", "(?=x)", "x" * 1001, "\ud800"])
def test_a_bad_regular_expression_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        compile_pattern(text)

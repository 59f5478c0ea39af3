"""Cursors: whatever comes back is what went out, or is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.api import cursors
from workflow_scheduler.core.errors import BadRequest

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


@given(texts, st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_what_goes_out_comes_back(text, number):
    assert cursors.decode(cursors.encode(text, number), str, int) == (text, number)


def test_no_cursor_is_the_beginning():
    assert cursors.decode(None, str) is None
    assert cursors.decode("", str) is None


@given(st.text(max_size=60))
def test_anything_else_is_refused_or_empty(text):
    try:
        found = cursors.decode(text, str)
    except BadRequest:
        return
    assert found is None or isinstance(found[0], str)


@pytest.mark.parametrize("keys", [("a",), ("a", 1, 2), (1, "a"), ("a", "b")])
def test_a_cursor_of_another_list_is_refused(keys):
    with pytest.raises(BadRequest):
        cursors.decode(cursors.encode(*keys), str, int)


def test_a_nul_inside_is_refused():
    packed = base64.urlsafe_b64encode(b'[1,"a\\u0000"]').decode().rstrip("=")
    with pytest.raises(BadRequest):
        cursors.decode(packed, str)

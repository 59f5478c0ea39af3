"""Log lines: their two forms, and what never stands in them."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from workflow_scheduler.telemetry.logging import HIDDEN, configure, redact


@pytest.fixture
def output():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_are_objects_with_level_time_and_name(output):
    configure("INFO", "json", output)
    structlog.get_logger("here").info("started", port=8003)
    line = json.loads(output.getvalue())
    assert (line["event"], line["level"], line["port"], line["logger"]) == ("started", "info", 8003, "here")
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_form(output):
    configure("WARNING", "json", output)
    logging.getLogger("some.library").warning("from %s", "elsewhere")
    structlog.get_logger("here").info("too fine")
    (line,) = output.getvalue().splitlines()
    assert json.loads(line)["event"] == "from elsewhere"


def test_text_is_for_people(output):
    configure("INFO", "text", output)
    structlog.get_logger("here").info("started", port=8003)
    assert "started" in output.getvalue()
    assert "port=8003" in output.getvalue()


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_traceback_shows_no_variables(output, style):
    configure("INFO", style, output)
    canary = "canary-" + "4711"
    try:
        int(canary[0])
    except ValueError:
        structlog.get_logger("here").exception("failed")
    assert "ValueError" in output.getvalue()
    assert canary not in output.getvalue()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "p"),
        ("jwt_secret", "p"),
        ("Authorization", "Bearer x"),
        ("headers", {"X-Api-Key": "p", "cookie": "p"}),
        ("note", "called with Bearer abcdef"),
        ("note", "key wfs_abcdef was used"),
        ("list", [{"client_secret": "p"}]),
    ],
)
def test_secrets_are_hidden_by_name_and_by_look(name, value):
    shown = str(redact(None, "", {name: value})[name])
    assert HIDDEN in shown
    for part in ("abcdef", "'p'", "Bearer x"):
        assert part not in shown


def test_plain_values_stay():
    line = {"event": "ok", "count": 5, "tokens": 7, "names": ["a"]}
    assert redact(None, "", dict(line)) == line

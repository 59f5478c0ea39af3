"""The parts of the command line that need no service."""

from typing import ClassVar

import msgspec
import pytest
import typer

from workflow_scheduler.cli import options, output, times
from workflow_scheduler.cli.definitions import change
from workflow_scheduler.cli.exits import Exit, exit_of
from workflow_scheduler.cli.root import hoisted
from workflow_scheduler.cli.run_view import plain
from workflow_scheduler.cli.session import Session
from workflow_scheduler.core import errors
from workflow_scheduler.core.errors import FieldError


class TestGlobalOptions:
    def test_they_may_stand_after_the_command(self):
        assert hoisted(["runs", "ls", "--json", "--server", "http://x"]) == [
            "--json",
            "--server",
            "http://x",
            "runs",
            "ls",
        ]
        assert hoisted(["runs", "ls", "--server=http://x"]) == ["--server=http://x", "runs", "ls"]

    def test_what_follows_two_dashes_is_left_alone(self):
        assert hoisted(["bench", "--", "--json"]) == ["bench", "--", "--json"]

    def test_a_server_without_a_value_is_left_for_the_parser_to_refuse(self):
        assert hoisted(["runs", "ls", "--server"]) == ["runs", "ls", "--server"]


class TestExitCodes:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (errors.DefinitionInvalid(), Exit.FAILED),
            (errors.JobFailed(), Exit.FAILED),
            (errors.ValidationFailed(), Exit.USAGE),
            (errors.BadRequest(), Exit.USAGE),
            (errors.NotFound(), Exit.NOT_FOUND),
            (errors.Unauthenticated(), Exit.AUTH),
            (errors.SignatureInvalid(), Exit.AUTH),
            (errors.Forbidden(), Exit.AUTH),
            (errors.Conflict(), Exit.CONFLICT),
            (errors.PreconditionFailed(), Exit.CONFLICT),
            (errors.NotConnected(), Exit.UNREACHABLE),
            (errors.StoreUnavailable(), Exit.UNREACHABLE),
            (errors.SchedulerError(), Exit.FAILED),
        ],
    )
    def test_each_kind_of_error_has_its_own(self, error, code):
        assert exit_of(error) is code

    def test_the_numbers_are_those_that_scripts_rely_on(self):
        assert [code.value for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7]


class TestPairs:
    def test_values_that_are_json_count_as_what_they_say(self):
        given = ["n=3", "flag=true", "word=hello", 'text="3"', "list=[1,2]", "empty=", "code=007", "eq=a=b"]
        assert options.pairs(given) == {
            "n": 3, "flag": True, "word": "hello", "text": "3", "list": [1, 2], "empty": "", "code": "007", "eq": "a=b",
        }  # fmt: skip

    @pytest.mark.parametrize("text", ["word", "=3", ""])
    def test_what_is_no_pair_is_refused(self, text):
        with pytest.raises(typer.BadParameter):
            options.pairs([text])


class TestTimes:
    def test_iso_times_are_kept_in_utc(self):
        assert times.past("2027-03-14T09:30:00+02:00") == "2027-03-14T07:30:00Z"
        assert times.past(None) is None

    def test_spans_count_backward_or_forward_from_now(self):
        assert times.past("2h") < times.past("1h") < times.future("1h") < times.future("2h")

    @pytest.mark.parametrize("text", ["yesterday", "2", "2x", "-2h", ""])
    def test_others_are_refused(self, text):
        with pytest.raises(typer.BadParameter):
            times.past(text)

    def test_waiting_times(self):
        assert (times.seconds("90s"), times.seconds("2m"), times.seconds("7")) == (90.0, 120.0, 7.0)
        with pytest.raises(typer.BadParameter):
            times.seconds("soon")

    def test_times_for_people_have_no_fractions(self):
        assert times.short("2027-03-14T07:30:00.123456Z") == "2027-03-14 07:30:00Z"
        assert times.short(None) == "-"


class TestOutput:
    PAGE: ClassVar = {"items": [{"id": "a", "status": "FAILED"}, {"id": "bb", "status": None}], "next": "c"}
    COLUMNS: ClassVar = {"ID": "id", "STATUS": "status", "LENGTH": lambda one: len(one["id"])}

    def test_json_is_one_object(self, capsys):
        output.show(Session(form="json"), self.PAGE, print)
        assert msgspec.json.decode(capsys.readouterr().out) == self.PAGE

    def test_jsonl_is_one_object_on_each_line(self, capsys):
        output.show(Session(form="jsonl"), self.PAGE, print)
        assert [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()] == self.PAGE["items"]

    def test_tables_are_aligned_and_have_no_colours_in_pipes(self, capsys):
        output.show(Session(), self.PAGE, lambda page: output.table(page["items"], self.COLUMNS))
        assert capsys.readouterr().out.splitlines() == ["ID  STATUS  LENGTH", "a   FAILED  1", "bb  -       2"]

    def test_long_rows_are_not_wrapped_in_pipes(self, capsys):
        output.table([{"id": "x" * 250}], {"ID": "id"})
        assert "x" * 250 in capsys.readouterr().out

    def test_markup_in_data_is_text(self, capsys):
        output.table([{"id": "[red]x[/red]"}], {"ID": "id"})
        assert "[red]x[/red]" in capsys.readouterr().out

    def test_no_rows_are_a_message_and_no_data(self, capsys):
        output.table([], {"ID": "id"}, "no runs")
        assert capsys.readouterr() == ("", "no runs\n")

    def test_long_values_are_cut(self):
        assert output.brief("x" * 10, 5) == "xxxx…"
        assert output.brief({"a": [1]}) == '{"a":[1]}'
        assert output.brief("a\n  b") == "a b"

    def test_complaints_say_what_why_and_what_to_do(self, capsys):
        error = errors.ValidationFailed("it is wrong", fix="mend it", errors=[FieldError("a.b", "must be a number")])
        output.complain(Session(), error)
        assert capsys.readouterr() == ("", "error: it is wrong\n  a.b: must be a number\n  try: mend it\n")

    def test_remedies_name_commands_instead_of_requests(self, capsys):
        output.complain(Session(), errors.NotFound("no", fix="list them: GET /api/v1/triggers or GET /api/v1/else"))
        remedy = capsys.readouterr().err.splitlines()[1]
        assert remedy == "  try: list them: workflow-scheduler trigger ls or GET /api/v1/else"

    def test_complaints_are_objects_for_programs(self, capsys):
        output.complain(Session(form="json"), errors.NotFound("there is no run", fix="list them"))
        found = capsys.readouterr()
        assert found.out == ""
        assert msgspec.json.decode(found.err) == {
            "code": "not_found", "status": 404, "detail": "there is no run", "fix": "list them", "errors": [],
        }  # fmt: skip

    def test_issues_carry_their_place(self):
        issue = FieldError("jobs.a", "unknown", line=3, column=7, suggestion="b")
        assert output.issue(issue, "f.yaml") == "f.yaml:3:7: jobs.a: unknown (try `b`)"
        assert output.issue(FieldError("", "empty")) == "empty"


def test_differences_are_lines():
    assert change({"path": ["jobs", "a"], "op": "added", "after": {"uses": "noop"}}) == 'jobs.a added: {"uses":"noop"}'
    assert change({"path": ["jobs", "a"], "op": "removed", "before": 1}) == "jobs.a removed: 1"
    assert change({"path": ["timezone"], "op": "changed", "before": "UTC", "after": "X"}) == "timezone: UTC -> X"


def test_emphasis_goes_and_patterns_stay():
    assert plain("*pushes* of ci wants main, release/*, not *") == "pushes of ci wants main, release/*, not *"

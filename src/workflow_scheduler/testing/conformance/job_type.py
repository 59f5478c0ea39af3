"""What every job type must do.

Subclass JobTypeConformance with a fixture `job_type` that gives the module.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from workflow_scheduler.core import errors
from workflow_scheduler.core.dag.park import SleepUntil, WaitFor
from workflow_scheduler.core.model.connection import Slack, Smtp, Sql
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.core.registry import Config
from workflow_scheduler.testing.job_context import FakeJobContext, FakeOutbound, FakeResources

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_ANSWER = HttpReply(
    status=200,
    headers={"content-type": "application/json"},
    body=b'{"ok":true,"channel":"C1","ts":"1.1"}',
    url="https://example.test/",
)
_CONNECTIONS: dict[str, tuple[str, Fields]] = {
    "warehouse": ("sql", Sql(url="sqlite://")),
    "mail": ("smtp", Smtp(host="mail.example.test", security="none", sender="wfs@example.test")),
    "chat": ("slack", Slack(token="xoxb-of-the-test")),  # noqa: S106 - of no workspace
}


class JobTypeConformance:
    """The suite."""

    @pytest.fixture
    def context(self) -> Any:
        """A context with a network that answers 200, a database, a mail server, Slack, and real threads."""
        resources = FakeResources(FakeOutbound([_ANSWER] * 10), connections=_CONNECTIONS)
        yield FakeJobContext(resources=resources)
        resources.close()

    def test_it_says_what_it_is(self, job_type: Any) -> None:
        """Name, title, catalogue text and flags are there."""
        assert _NAME.match(job_type.name)
        assert job_type.title
        assert (job_type.__doc__ or "").strip().split("\n")[0].endswith(".")
        assert isinstance(job_type.inline, bool)
        assert isinstance(job_type.needs_code_allowance, bool)
        assert job_type.examples

    def test_run_is_a_coroutine_function_unless_inline(self, job_type: Any) -> None:
        """An inline job is called on the loop without a task of its own: it can never wait."""
        assert inspect.iscoroutinefunction(job_type.run) is not job_type.inline

    def test_the_configuration_is_closed_and_frozen(self, job_type: Any) -> None:
        """Unknown keys are refused, and a configuration is never changed."""
        assert issubclass(job_type.Config, Config)
        for example in job_type.examples:
            with pytest.raises(ValidationError):
                job_type.Config.model_validate({**example, "no_such_field": 1})
            config = job_type.Config.model_validate(example)
            field = next(iter(job_type.Config.model_fields))
            with pytest.raises(ValidationError):
                setattr(config, field, None)

    def test_every_field_explains_itself(self, job_type: Any) -> None:
        """Forms, reference pages and help texts come from titles and descriptions."""
        schema = job_type.Config.model_json_schema(by_alias=True)
        assert schema["additionalProperties"] is False
        for name, field in schema.get("properties", {}).items():
            assert field.get("title"), name
            assert field.get("description"), name
        assert msgspec.json.encode(schema)

    def test_examples_survive_storage(self, job_type: Any) -> None:
        """A configuration that was stored as JSON and read again is the same."""
        for example in job_type.examples:
            config = job_type.Config.model_validate(example)
            stored = config.model_dump_json(by_alias=True, exclude_unset=True)
            assert job_type.Config.model_validate_json(stored) == config

    async def test_examples_run_to_a_json_output(self, job_type: Any, context: FakeJobContext) -> None:
        """The output is JSON, or the job is parked."""
        for example in job_type.examples:
            output = await _outcome(job_type, example, context)
            if isinstance(output, SleepUntil):
                assert output.wake_at >= 0
                output = output.output
            if isinstance(output, WaitFor):
                assert ":" in output.name
                output = output.facts
            assert msgspec.json.decode(msgspec.json.encode(output)) == msgspec.to_builtins(output)

    async def test_a_second_attempt_uses_the_same_keys(self, job_type: Any, context: FakeJobContext) -> None:
        """What leaves the process carries a key that does not depend on the attempt."""
        for attempt in (1, 2):
            context.attempt = attempt
            await _outcome(job_type, job_type.examples[0], context)
        outbound = context.resources.outbound
        assert isinstance(outbound, FakeOutbound)
        keys = [request.headers["Idempotency-Key"] for request in outbound.requests]
        keys += [key for _, key in context.events]
        assert len(set(keys)) <= 1

    async def test_cancellation_goes_through(self, job_type: Any) -> None:
        """A cancelled job ends as cancelled: it does not swallow the cancellation. An inline one never waits."""
        if job_type.inline:
            assert not inspect.iscoroutinefunction(job_type.run)
            return
        resources = FakeResources(FakeOutbound(held=True), connections=_CONNECTIONS)
        context = FakeJobContext(resources=resources, held=True)
        task = asyncio.ensure_future(_outcome(job_type, job_type.examples[0], context))
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait([task])
        resources.close()
        assert task.cancelled()

    @pytest.mark.parametrize("final", [errors.Rejected(), errors.ValidationFailed(), errors.Forbidden()])
    def test_final_errors_are_not_tried_again(self, job_type: Any, final: Exception) -> None:
        """What is refused for good is not repeated."""
        assert job_type.retryable(final) is False

    def test_any_error_gets_an_answer(self, job_type: Any) -> None:
        """`retryable` is asked about whatever was raised."""
        for error in (errors.Unavailable(), errors.JobFailed(), ValueError("x"), TimeoutError(), OSError(5, "x")):
            assert job_type.retryable(error) in (True, False)


async def _outcome(job_type: Any, example: Any, context: FakeJobContext) -> Any:
    outcome = job_type.run(job_type.Config.model_validate(example), context)
    return outcome if job_type.inline else await outcome

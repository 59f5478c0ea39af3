import pytest

from workflow_scheduler.core.registry import discover
from workflow_scheduler.testing.conformance.job_type import JobTypeConformance

JOB_TYPES = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


def test_the_promised_job_types_are_found():
    assert {"run", "python", "http", "sql", "email", "slack", "sleep_for", "sleep_until", "emit", "noop"} <= set(
        JOB_TYPES
    )


class TestJobTypes(JobTypeConformance):
    @pytest.fixture(params=JOB_TYPES.values(), ids=JOB_TYPES.keys())
    def job_type(self, request):
        return request.param

    def test_each_lives_in_the_file_of_its_name(self, job_type):
        assert job_type.__name__.rsplit(".", 1)[1] == job_type.name

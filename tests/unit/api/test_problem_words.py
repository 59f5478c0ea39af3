"""Input that a route refuses is explained in plain words."""

from typing import Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflow_scheduler.api.problems import from_validation


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    limit: int = Field(default=1, le=10)
    mode: Literal["a", "b", "c"] = "a"


def test_choices():
    assert problems_of({"name": "x", "mode": "z"}) == [("mode", "must be one of `a`, `b`, `c`")]


def problems_of(value):
    try:
        Body.model_validate(value)
    except ValidationError as error:
        lines = [{**line, "loc": ("body", *line["loc"])} for line in error.errors()]
        return [(one.field, one.message) for one in from_validation(RequestValidationError(lines)).errors]
    return []


def test_unknown_and_missing_fields():
    assert problems_of({"nam": "x"}) == [("name", "is required"), ("nam", "unknown field `nam`")]


def test_values_of_the_wrong_kind():
    assert problems_of({"name": 7, "limit": 11}) == [
        ("name", "must be a text, not `7`"),
        ("limit", "must be at most 10"),
    ]

"""What templates look like in requests and answers; the OpenAPI document is made of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_DEFINITION: dict[str, JsonValue] = {
    "version": 1,
    "jobs": {
        "greet": {
            "uses": "http",
            "with": {"method": "POST", "url": "https://example.test/greet", "json": {"to": "${input.email}"}},
        }
    },
}
_SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "required": ["email"],
    "properties": {
        "email": {"type": "string", "format": "email", "title": "Whom to greet", "examples": ["ann@example.test"]}
    },
}


class TemplateBody(BaseModel):
    """What a template is."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={"example": {"description": "Greets", "category": "notifications",
                                       "definition": _DEFINITION, "input_schema": _SCHEMA}},
    )  # fmt: skip

    description: str = Field(default="", max_length=2_000, description="For people.")
    category: str = Field(default="", max_length=64, description="Lists are filtered by it: maintenance, etl, …")
    definition: dict[str, Any] | str | None = Field(
        default=None, description="A workflow definition: an object, or YAML as a text. Its name is the template's."
    )
    workflow_definition: dict[str, Any] | str | None = Field(default=None, description="The same, by another name.")
    input_schema: dict[str, Any] | None = Field(
        default=None, description="JSON Schema (2020-12) of the input; without one any object is taken."
    )


class NewTemplate(TemplateBody):
    """A template to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "greet", "category": "notifications", "definition": _DEFINITION,
                                       "input_schema": _SCHEMA}},
    )  # fmt: skip

    name: str = Field(max_length=128, description="Unique in the tenant.")


class RunBody(BaseModel):
    """A run of a template."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"input": {"email": "ann@example.test"}}})

    input: Any = Field(default=None, description="Input of the run; it has to fit the `input_schema`.")


class InstantiateBody(BaseModel):
    """A workflow to make from a template."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"workflow": "greetings", "input": {"email": "ann@example.test"}}},
    )

    workflow: str = Field(max_length=128, description="Name of the new workflow.")
    input: Any = Field(default=None, description="What the workflow holds ready: each run's own input is laid over it.")
    deploy: bool = Field(default=False, description="Make it live at once.")


class ListedTemplate(BaseModel):
    """A template without its definition."""

    id: str = Field(description="Runs of the template have it as their `workflow_id`.")
    name: str
    description: str
    category: str
    builtin: bool = Field(description="Comes with the program: read-only, and hidden by an own one of the same name.")
    version: int
    input_schema: dict[str, Any] = Field(description="JSON Schema of the input: enough to draw a form.")
    triggers: dict[str, str | None] = Field(description="Name and type of the triggers of workflows made from it.")
    created_at: str | None
    updated_at: str | None
    updated_by: str | None


class Template(ListedTemplate):
    """A template."""

    definition: dict[str, Any]


class TemplatePage(BaseModel):
    """A page of templates."""

    items: list[ListedTemplate]
    next: str | None

"""Templates: definitions kept under a name, with a schema of their input."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.ids import logical_id

SOURCE = "/templates/"
"""The source of the events by which templates are run; the name follows."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template of a tenant, or one that comes with the program (`builtin`), which all tenants have.

    `definition` is written as in a file; `version` grows with each change. Times are microseconds.
    """

    name: str
    description: str = ""
    category: str = ""
    definition: dict[str, Any]
    input_schema: dict[str, Any]
    version: int = 1
    builtin: bool = False
    created_at: int | None = None
    updated_at: int | None = None
    updated_by: str | None = None


def workflow_id(tenant_id: str, name: str) -> str:
    """Return the id under which the versions of a template are stored that were run."""
    return logical_id(tenant_id, "\x00template", name)

"""What the fields of connections are made of, whatever the kind."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Fields(BaseModel):
    """Base of the fields of every kind: closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


def secret(title: str, description: str, **rules: Any) -> Any:
    """Return a field whose value is sealed."""
    return Field(title=title, description=description, repr=False, json_schema_extra={"secret": True}, **rules)


def one_line(value: str) -> str:
    """Refuse what would end a header or a command early.

    Raises:
        ValueError: it holds a line break or another control character.

    """
    if not value.isprintable():
        message = "must not hold line breaks or other control characters"
        raise ValueError(message)
    return value


def web_address(value: str) -> str:
    """Refuse what is not an http or https URL, or holds credentials that would be shown.

    Raises:
        ValueError: it is not.

    """
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "must be an http or https URL"
        raise ValueError(message)
    if parts.username or parts.password:
        message = "must not hold a user name or password; they have fields of their own"
        raise ValueError(message)
    return value


Line = Annotated[str, AfterValidator(one_line), Field(min_length=1, max_length=1_000)]
Url = Annotated[str, AfterValidator(web_address), Field(max_length=2_000)]
Servers = Annotated[str, Field(pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$", max_length=2_000)]

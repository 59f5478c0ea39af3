"""JSONPath (RFC 9535) over JSON that came from elsewhere, without its regular expressions, whose cost has no bound."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Final

import jsonpath_rfc9535 as jsonpath
from pydantic import AfterValidator, Field

_environment = jsonpath.JSONPathEnvironment()
for _name in ("match", "search"):
    _environment.function_extensions.pop(_name, None)
MISSING: Final = object()
PATH_CHARACTERS_MAX = 500


@lru_cache(1_000)
def _compiled(text: str) -> Any:
    return _environment.compile(text)


def check_path(text: str) -> str:
    """Refuse what is no JSONPath.

    Raises:
        ValueError: it is not; the message says what is wrong.

    """
    try:
        _compiled(text)
    except jsonpath.JSONPathError as error:
        message = f"`{text}` is not a JSONPath: {str(error).splitlines()[0]}; write for example $.items or $.id"
        raise ValueError(message) from None
    return text


JsonPath = Annotated[str, AfterValidator(check_path), Field(max_length=PATH_CHARACTERS_MAX)]


def values_at(text: str, value: Any) -> list[Any]:
    """Return every value that a path finds; none where the value is nested too deeply."""
    try:
        return [node.value for node in _compiled(text).find(value)]
    except (jsonpath.JSONPathError, RecursionError):
        return []


def value_at(text: str, value: Any) -> Any:
    """Return the first value that a path finds, or MISSING."""
    found = values_at(text, value)
    return found[0] if found else MISSING


def items_at(text: str, value: Any) -> list[Any]:
    """Return the items under a path: the elements of the one list it finds, else all that it finds."""
    found = values_at(text, value)
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found

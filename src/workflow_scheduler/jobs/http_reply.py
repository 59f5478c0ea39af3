"""What an `http` job makes of an answer: its body, and the values that the configuration picks out of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from workflow_scheduler.core.errors import Rejected, ValidationFailed
from workflow_scheduler.core.match.condition import Undefined, compile_expression
from workflow_scheduler.core.ports.resources import HttpReply

REPLY_VARIABLES = ("status", "headers", "body")
_TEXT_TYPES = ("text/", "application/xml", "application/x-www-form-urlencoded", "application/javascript")


def body_of(reply: HttpReply) -> dict[str, Any]:
    """Return `body`: parsed JSON, text, or base64 with `encoding`."""
    content_type = reply.headers.get("content-type", "").split(";")[0].strip().lower()
    if not reply.body:
        return {"body": None}
    if content_type == "application/json" or content_type.endswith("+json"):
        try:
            return {"body": msgspec.json.decode(reply.body)}
        except (msgspec.DecodeError, RecursionError):
            return {"body": reply.body.decode("utf-8", "replace")}
    if content_type.startswith(_TEXT_TYPES) or not content_type:
        return {"body": reply.body.decode("utf-8", "replace")}
    return {"body": base64.b64encode(reply.body).decode(), "encoding": "base64"}


def check_pick(text: str) -> str:
    """Refuse what is neither a JSONPath nor a CEL expression.

    Raises:
        ValueError: it is not; the text says what is wrong.

    """
    if "${" in text:
        message = "write the path or the expression as it is, without `${…}`: $.items[0].id, or body.items.size()"
        raise ValueError(message)
    try:
        if text.startswith("$"):
            _path(text)
        else:
            compile_expression(text, REPLY_VARIABLES)
    except ValidationFailed as error:
        raise ValueError(error.detail) from None
    return text


def picked(picks: Mapping[str, str], output: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that `picks` (name -> JSONPath or CEL) finds in an answer.

    Raises:
        Rejected: one finds nothing; the text names it.

    """
    return {name: _pick(name, text, output) for name, text in picks.items()}


def _pick(name: str, text: str, output: Mapping[str, Any]) -> Any:
    if text.startswith("$"):
        found = [node.value for node in _path(text).find(output["body"])]
        if not found:
            raise Rejected(f"output.{name}: `{text}` finds nothing in the answer")
        return found[0] if _path(text).singular_query() else found
    try:
        return compile_expression(text, REPLY_VARIABLES).value(output)
    except Undefined as error:
        raise Rejected(f"output.{name}: `{text}` has no value: {error}") from None


@lru_cache(1_000)
def _path(text: str) -> Any:
    import jsonpath_rfc9535 as jsonpath  # it loads where a path is used

    try:
        return jsonpath.compile(text)
    except jsonpath.JSONPathError as error:
        raise ValidationFailed(f"`{text}` is not a JSONPath: {str(error).splitlines()[0]}") from None

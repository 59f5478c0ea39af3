"""The page with which people answer: rendered here from the form's schema, without any script.

What the form sends is turned back into the values that the schema wants, field by field.
"""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from fastapi import Request
from fastapi.responses import HTMLResponse

from workflow_scheduler.core.errors import BadRequest, FieldError, ValidationFailed
from workflow_scheduler.services.waits import Given

FORM = "application/x-www-form-urlencoded"
FIELDS_MAX = 200
_PREFIX = "answer."
_JSON = "json"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}


def wants_page(request: Request) -> bool:
    """Return whether the caller is a browser, that would rather see a page than JSON."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and "application/json" not in accepted


def is_form(request: Request) -> bool:
    """Return whether the body is what a page of ours sends."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def page(
    wait: dict[str, Any], responder: str, error: ValidationFailed | None = None, status: int = 200
) -> HTMLResponse:
    """Return the page of a wait, with its form as long as it is open."""
    if error is not None:
        status = error.status
    is_open = wait["status"] == "OPEN"
    body = _form(wait, error) if is_open else f"<p>{escape(_outcome(wait))}</p>"
    asked = escape(wait["ask"]).replace("\n", "<br>")
    said = "".join(f"<li>{escape(_said(one))}</li>" for one in wait["answers"])
    due = f"<p>Please answer by {escape(wait['expires_at'])}.</p>" if is_open and wait["expires_at"] else ""
    return document(
        f"<h1>{asked}</h1><p>{escape(wait['workflow'])}, job {escape(wait['job_id'])}. "
        f"You answer as {escape(responder)}.</p>{due}{body}{f'<ul>{said}</ul>' if said else ''}",
        status,
    )


def document(content: str, status: int = 200, title: str = "Answer") -> HTMLResponse:
    """Return a whole page around `content`, which is HTML already."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{title}</title><link rel="stylesheet" href="/docs/docs.css"><main>{content}</main></html>'
    )
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def filled_in(body: bytes, wait: dict[str, Any]) -> Given:
    """Return the answer that a sent form holds.

    Raises:
        BadRequest: it is not a form.
        ValidationFailed: a field does not hold what its type wants; the errors name the fields.

    """
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise BadRequest("the body is not a form") from error
    sent = dict(pairs)
    decision = sent.get("decision")
    approved = {"approve": True, "reject": False}.get(decision or "")
    value = _value(sent, wait["form"]) if wait["form"] is not None and approved is not False else None
    return Given(approved=approved, answer=value, comment=sent.get("comment") or None)


def _value(sent: dict[str, str], form: dict[str, Any]) -> Any:
    properties = _properties(form)
    if properties is None:
        return _read(sent.get(_PREFIX + _JSON, ""), {}, "answer")
    found: dict[str, Any] = {}
    for name, schema in properties.items():
        text = sent.get(_PREFIX + name)
        kind = _kind(schema)
        if kind == "boolean":
            found[name] = text is not None
        elif text:
            found[name] = _read(text, schema, f"answer.{name}")
    return found


def _read(text: str, schema: Any, field: str) -> Any:
    """Return what a field holds in the type that its schema wants."""
    choices = schema.get("enum") if isinstance(schema, dict) else None
    if isinstance(choices, list):
        return next((choice for choice in choices if _shown(choice) == text), text)
    if _kind(schema) == "string":
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        wanted = _kind(schema) or "JSON"
        message = f"must be a number ({wanted})" if wanted in {"integer", "number"} else f"must be {wanted} in JSON"
        raise ValidationFailed(f"{field} {message}", errors=[FieldError(field, message)]) from None


def _properties(form: dict[str, Any]) -> dict[str, Any] | None:
    properties = form.get("properties")
    return properties if isinstance(properties, dict) and form.get("type", "object") == "object" else None


def _kind(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, dict) else None
    return kind if isinstance(kind, str) else ""


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _form(wait: dict[str, Any], error: ValidationFailed | None) -> str:
    problems = {line.field: line.message for line in error.errors} if error is not None else {}
    fields = _fields(wait["form"], problems) if wait["form"] is not None else ""
    wanted = " required" if wait["require_comment"] else ""
    fields += (
        f'<p><label>Comment<br><textarea name="comment" rows="3" cols="60" maxlength="4000"{wanted}></textarea>'
        f"</label>{_problem(problems.pop('comment', None))}</p>"
    )
    buttons = '<button name="decision" value="answer">Answer</button>'
    if wait["decision"]:
        buttons = (
            '<button name="decision" value="approve">Approve</button> '
            '<button name="decision" value="reject" formnovalidate>Reject</button>'
        )
    rest = "".join(f"<p><strong>{escape(f'{name} {text}')}</strong></p>" for name, text in problems.items())
    return f'<form method="post">{rest}{fields}<p>{buttons}</p></form>'


def _fields(form: dict[str, Any], problems: dict[str, str]) -> str:
    properties = _properties(form)
    if properties is None:
        problem = _problem(problems.pop("answer", None))
        control = f'<textarea name="{_PREFIX}{_JSON}" rows="6" cols="60"></textarea>'
        return f"<p><label>Answer (JSON)<br>{control}</label>{problem}</p>"
    required = form.get("required") if isinstance(form.get("required"), list) else []
    return "".join(
        _field(name, schema if isinstance(schema, dict) else {}, name in (required or []), problems)
        for name, schema in properties.items()
    )


def _field(name: str, schema: dict[str, Any], required: bool, problems: dict[str, str]) -> str:
    label = escape(str(schema.get("title") or name))
    about = f"<br><small>{escape(str(schema['description']))}</small>" if schema.get("description") else ""
    given = f'name="{_PREFIX}{escape(name)}"'
    wanted = " required" if required else ""
    kind = _kind(schema)
    if isinstance(schema.get("enum"), list):
        options = "".join(f"<option>{escape(_shown(choice))}</option>" for choice in schema["enum"])
        control = f"<select {given}{wanted}><option></option>{options}</select>"
    elif kind == "boolean":
        control = f'<input type="checkbox" {given} value="true">'
    elif kind in {"integer", "number"}:
        step = "1" if kind == "integer" else "any"
        control = f'<input type="number" step="{step}" {given}{wanted}>'
    elif kind == "string":
        control = f"<input {given}{wanted}>"
    else:
        control = f'<textarea {given} rows="3" cols="60"{wanted}></textarea>'
    return f"<p><label>{label}{about}<br>{control}</label>{_problem(problems.pop(f'answer.{name}', None))}</p>"


def _problem(text: str | None) -> str:
    return f" <strong>{escape(text)}</strong>" if text else ""


def _outcome(wait: dict[str, Any]) -> str:
    words = {"ANSWERED": "This has been answered.", "EXPIRED": "The time to answer is over."}
    return words.get(wait["status"], "Nobody waits for this any more.")


def _said(one: dict[str, Any]) -> str:
    what = {True: "approved", False: "rejected", None: "answered"}[one["approved"]]
    comment = f": {one['comment']}" if one["comment"] else ""
    return f"{one['by']} {what} at {one['at']}{comment}"

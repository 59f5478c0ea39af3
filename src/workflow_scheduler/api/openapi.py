"""The OpenAPI document: what FastAPI finds by itself, plus the raw event routes, credentials and operation ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from workflow_scheduler.api.problems import Problem

_REFERENCE = "#/components/schemas/{model}"
_PROBLEM = {"$ref": _REFERENCE.format(model="Problem")}
_ACCEPTED = {"$ref": _REFERENCE.format(model="Accepted")}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body give the same answer for 24 hours, and the work is done once.",
    "schema": {"type": "string", "maxLength": 255},
}
_WAIT = {
    "name": "wait",
    "in": "query",
    "description": "`decision` adds the decisions, `run` waits for the runs to end (see `timeout`).",
    "schema": {"type": "string", "enum": ["decision", "run"]},
}
_TIMEOUT = {
    "name": "timeout",
    "in": "query",
    "description": "Seconds that `wait=run` waits at most.",
    "schema": {"type": "number", "minimum": 0, "maximum": 300, "default": 30},
}
_EXAMPLE_EVENT = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/shop/orders",
    "type": "com.example.order.created",
    "subject": "order/17",
    "time": "2027-03-14T07:30:00Z",
    "datacontenttype": "application/json",
    "data": {"order": 17, "amount": 120},
}
ACCEPTED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["event_id", "explain"],
    "properties": {
        "event_id": {"type": ["string", "null"], "description": "Null when no trigger listens for such a delivery."},
        "explain": {"type": ["string", "null"], "description": "Where it is told what became of the event, and why."},
        "duplicate": {"type": "boolean", "description": "The event was accepted before; `event_id` is the first one."},
        "decisions": {"type": "array", "items": {"type": "object"}},
        "runs": {"type": "array", "items": {"type": "object"}},
    },
}
REFUSALS = {
    "400": "The request cannot be read.",
    "401": "No credentials, or unknown ones.",
    "403": "The caller may not do this.",
    "404": "There is no such thing in this tenant.",
    "405": "This method is not allowed here.",
    "409": "The present state does not allow this.",
    "412": "Somebody changed it in the meantime.",
    "413": "The body is too large.",
    "415": "The media type or encoding is not supported.",
    "422": "The input breaks a rule.",
    "503": "Not available now; try again after `Retry-After` seconds.",
}
Schema = dict[str, Any]


def describe(app: FastAPI) -> None:
    """Let `app` serve the completed document, with operation ids that read well in generated clients."""
    _name_operations(app)
    original: Callable[[], Schema] = app.openapi

    def openapi() -> Schema:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(original())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _name_operations(app: FastAPI) -> None:
    taken: set[str] = set()
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            name = route.name
            while name in taken:
                name += "_"
            taken.add(name)
            route.operation_id = name


def _completed(schema: Schema) -> Schema:
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})["Accepted"] = ACCEPTED_SCHEMA
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key (`wfs_…`) or a signed token."},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    _add_refusals(schema)
    for path, found in _ingress().items():
        schema["paths"].setdefault(path, {}).update(found)
    for path, operations in schema["paths"].items():
        private = path.startswith(("/api/", "/v2/")) and "/webhook" not in path
        for method, operation in operations.items():
            if private:
                operation["security"] = [{"bearer": []}, {"key": []}]
            if method == "post" and private:
                _add_key(operation)
    return schema


def _add_key(operation: Schema) -> None:
    parameters = operation.setdefault("parameters", [])
    if not any(item.get("name", "").lower() == "idempotency-key" for item in parameters):
        parameters.append(_KEY)


def _add_refusals(schema: Schema) -> None:
    """Say that every route may refuse with a problem document, in place of what FastAPI says about its own checks."""
    problem = Problem.model_json_schema(ref_template=_REFERENCE)
    schemas = schema["components"]["schemas"]
    schemas |= {**problem.pop("$defs"), "Problem": problem}
    for own in ("HTTPValidationError", "ValidationError"):
        schemas.pop(own, None)
    for operations in schema["paths"].values():
        for operation in operations.values():
            operation["responses"].update(_refusals())


def _refusals(**texts: str) -> Schema:
    """Return the refusals as responses by status; `texts` (`s404="…"`) replace or leave out (empty) some sentences."""
    said = {status: texts.get(f"s{status}", text) for status, text in REFUSALS.items()}
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {status: {"description": text, "content": content} for status, text in said.items() if text}


def _ingress() -> dict[str, Schema]:
    anything = {"content": {"*/*": {"schema": {}}}, "required": False}
    return {
        "/webhooks/{provider}/{id}": {
            "post": _operation(
                "receive_webhook",
                "Hear a delivery of a provider",
                "The provider's signature is checked over the raw bytes before anything is parsed.",
                parameters=[_path("provider"), _path("id"), _WAIT, _TIMEOUT],
                requestBody=anything,
            )
        },
        "/api/v1/public/webhook/{path}": {
            "post": _operation(
                "receive_public_webhook",
                "Hear a webhook",
                "Also with the other methods that the trigger allows.",
                parameters=[_path("path"), _WAIT, _TIMEOUT],
                requestBody=anything,
            )
        },
        "/api/v1/github/webhook": {
            "post": _operation(
                "receive_github",
                "Hear a delivery of GitHub",
                "For every GitHub trigger whose secret fits the signature.",
                parameters=[_WAIT, _TIMEOUT],
                requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            )
        },
        "/api/v1/events": {"post": _cloudevents()},
    }


def _cloudevents() -> Schema:
    return _operation(
        "send_events",
        "Send CloudEvents",
        "CloudEvents 1.0: binary (`ce-` headers), structured, or a batch. `source` and `id` together are the "
        "event's identity: sending it again changes nothing. A batch is answered with a list.",
        accepted={"anyOf": [_ACCEPTED, {"type": "array", "items": _ACCEPTED}]},
        parameters=[_WAIT, _TIMEOUT],
        requestBody={
            "required": True,
            "content": {
                "application/cloudevents+json": {"schema": {"type": "object"}, "example": _EXAMPLE_EVENT},
                "application/cloudevents-batch+json": {
                    "schema": {"type": "array", "items": {"type": "object"}},
                    "example": [_EXAMPLE_EVENT],
                },
            },
        },
    )


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _operation(name: str, summary: str, description: str, accepted: Schema | None = None, **more: Any) -> Schema:
    refusals = _refusals(
        s401="Signature or credentials do not fit.",
        s404="Nothing listens here.",
        s409="",
        s412="",
        s503="Not available now; send it again.",
    )
    answer = {
        "description": "Durably accepted.",
        "content": {"application/json": {"schema": accepted or _ACCEPTED}},
    }
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "tags": ["ingress"],
        "responses": {"202": answer, **refusals},
        **more,
    }

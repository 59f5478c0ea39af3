"""An HTTP request to an address of this service. The body, query and headers are handed to the workflow.

The address is `/api/v1/public/webhook/{path}`, or with the workflow's or trigger's id in place of the path. Every
webhook says how its requests are signed: as a known sender does (`github slack stripe pagerduty shopify gitlab
standard-webhooks`), by an HMAC, API key, user and password, or JWT; one that takes unsigned requests says
`signature: {scheme: none}`. JSON, forms, text and binary bodies are understood (binary as base64). The sender's own id
or the header `webhook-id` identifies a delivery, so that a sender that tries again starts nothing twice; `event_key`
names another header or a value of the body. A request whose time is signed is taken once, under any id.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import msgspec
import re2
from pydantic import AliasChoices, BeforeValidator, Field, field_validator

from workflow_scheduler.core.errors import BadRequest, Rejected, SchedulerError
from workflow_scheduler.core.inbound import scheme
from workflow_scheduler.core.inbound.body import read_body
from workflow_scheduler.core.inbound.presets import PRESETS
from workflow_scheduler.core.inbound.scheme import Signature
from workflow_scheduler.core.inbound.signature import fingerprint
from workflow_scheduler.core.match.expression import compile_expression, evaluate
from workflow_scheduler.core.match.verdict import Predicate, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard, PushRequest

name = "webhook"
title = "Webhook"
icon = "webhook"
shape = "push"
since = "0.1"
extras = ""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
KEY_VARIABLES = ("body", "headers", "query", "method", "path")
_PATH = re2.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")
_HEADER_NAME = re2.compile(r"[A-Za-z0-9-]+")
_MISSION_PREFIX = "webhook/"
_KEY_CHARS_MAX = 200
_QUERY_FIELDS_MAX = 1_000
_SECOND_US = 1_000_000
_PRIVATE = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "webhook-signature"})
_encode = msgspec.json.encode
_decode = msgspec.json.decode


class Dedup(BaseConfig):
    """Takes equal bodies within a time for one delivery."""

    by: Literal["body-hash"] = "body-hash"
    window: Duration = Field(
        default=600.0, gt=0, le=604_800, title="Window", description="Length of the fixed time windows: 10m."
    )


def _upper(value: object) -> object:
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)):
        return value
    return tuple(one.upper() if isinstance(one, str) else one for one in values)


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]


class Config(BaseConfig):
    """The address, what may be sent to it, and how that is checked."""

    path: str | None = Field(
        default=None,
        validation_alias=AliasChoices("path", "webhook_path"),
        max_length=200,
        title="Path",
        description="The end of the address. None: the id of the workflow or the trigger.",
        json_schema_extra={"ui": {"placeholder": "orders"}},
    )
    methods: Annotated[tuple[Method, ...], BeforeValidator(_upper)] = Field(
        default=("POST",),
        validation_alias=AliasChoices("methods", "allowed_methods"),
        min_length=1,
        title="Methods",
        description="The HTTP methods that are taken; others are answered with 405.",
        json_schema_extra={"ui": {"widget": "multi-select"}},
    )
    signature: Annotated[
        Signature,
        BeforeValidator(
            lambda value: {"scheme": value} if isinstance(value, str) else value,
            json_schema_input_type=Literal["none"] | Signature,
        ),
    ] = Field(title="Signature", description="How a request proves where it comes from; `none` must be written.")
    event_key: str | None = Field(
        default=None,
        max_length=500,
        title="Identity of a delivery",
        description="A header's name, or CEL over `body headers query method path`, for example `body.id`.",
        json_schema_extra={"ui": {"placeholder": "body.id"}},
    )
    dedup: Annotated[
        Dedup | None,
        BeforeValidator(
            lambda value: {"by": value} if isinstance(value, str) else value,
            json_schema_input_type=Literal["body-hash"] | Dedup | None,
        ),
    ] = Field(default=None, title="Take equal bodies once", description="`body-hash`: equal bodies within a window.")

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str | None) -> str | None:
        if path is not None and _PATH.fullmatch(path.strip("/")) is None:
            raise ValueError("a path has parts of letters, digits and `. _ ~ -`, divided by `/`")
        if path is not None and {".", ".."} & set(path.split("/")):
            raise ValueError("a path has no `.` or `..` parts")
        return path

    @field_validator("event_key")
    @classmethod
    def _is_a_key(cls, key: str | None) -> str | None:
        if key is not None and _HEADER_NAME.fullmatch(key) is None:
            try:
                compile_expression(_expression(key), KEY_VARIABLES)
            except SchedulerError as error:
                raise ValueError(error.detail) from None
        return key


_ORDER = {
    "method": "POST",
    "path": "/api/v1/public/webhook/orders",
    "query": "region=eu",
    "headers": {"content-type": "application/json", "x-signature": "…", "x-event-id": "evt_1042"},
    "body": '{"id": "evt_1042", "amount": 150, "currency": "EUR"}',
}
examples = (
    Example(
        title="Signed orders",
        config={
            "path": "orders",
            "methods": ["POST"],
            "signature": {"scheme": "hmac-sha256", "header": "X-Signature", "secret": "orders_hmac"},
            "event_key": "body.id",
        },
        event=_ORDER,
    ),
    Example(
        title="Payments of Stripe",
        config={"path": "stripe", "signature": {"scheme": "stripe", "secret": "stripe_signing"}},
        event={
            "method": "POST",
            "path": "/api/v1/public/webhook/stripe",
            "headers": {"content-type": "application/json"},
            "body": '{"id": "evt_1NG8Du2eZvKYlo2C", "type": "payment_intent.succeeded"}',
        },
    ),
    Example(
        title="An open address for forms, declared to be unsigned",
        config={"webhook_path": "/webhook/my-workflow", "allowed_methods": ["POST", "PUT"], "signature": "none"},
        event={
            "method": "PUT",
            "path": "/api/v1/public/webhook/my-workflow",
            "headers": {"content-type": "application/x-www-form-urlencoded"},
            "body": "name=Ada&tag=a&tag=b",
        },
    ),
)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the path, also without a leading `webhook/`; none where the address is an id.

    The last key is the address that is claimed. It has no such prefix left, so that two paths that share any key
    claim the same address: nobody else can listen in.
    """
    if config.path is None:
        return ()
    path = short = config.path.strip("/")
    while short.startswith(_MISSION_PREFIX):
        short = short.removeprefix(_MISSION_PREFIX)
    return (path,) if short == path else (path, short)


def secret_name(config: Config) -> str | None:
    """Return the name of the secret that requests are checked with."""
    return config.signature.secret if config.signature.scheme != "none" else None


def claim(config: Config) -> tuple[str, Any] | None:
    """Return the address this trigger takes, and what everybody who shares it must agree on."""
    keys = index_keys(config)
    return (keys[-1], config.signature.model_dump()) if keys else None


def verify(config: Config, request: PushRequest, secret: str | None) -> None:
    """Check the request's signature over its raw bytes.

    Raises:
        SignatureInvalid: it is missing, wrong, or too old, or the secret is not set.

    """
    scheme.verify(config.signature, request, secret)


def sign(config: Config, request: PushRequest, secret: str) -> dict[str, str]:
    """Return the headers with which a sender signs `request`."""
    return scheme.sign(config.signature, request, secret)


def replay_key(config: Config, request: PushRequest) -> str | None:
    """Return the key under which a signed request may arrive only once within its tolerance.

    None where the signed bytes hold no time stamp: there, equal requests may be meant.
    """
    return scheme.replay_key(config.signature, request)


def guard(config: Config, request: PushRequest) -> str | None:
    """Return the key under which the request may arrive under one identity only; None where that needs no looking.

    Where the identity stands in what is signed, a copy has the same one. Elsewhere whoever copies a request could
    give it another.
    """
    if PRESETS[config.signature.scheme].key_path:
        return None
    if "webhook-id" in request.headers:
        signed = scheme.covers_id(config.signature)
    else:
        signed = config.event_key is None or _is_of_body(config.event_key)
    return None if signed else scheme.replay_key(config.signature, request)


def parse(config: Config, request: PushRequest) -> list[Heard]:
    """Return the one event that the request is.

    Raises:
        BadRequest: body, query or form cannot be read.
        UnsupportedMedia: the body's character set is not supported.

    """
    headers = request.headers
    body = read_body(request.body, headers.get("content-type", ""))
    query = _query(request.query) if request.query else {}
    hidden = scheme.header_of(config.signature)
    attributes: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "query": query,
        "headers": {key: value for key, value in headers.items() if key not in _PRIVATE and key != hidden},
        "content_type": headers.get("content-type"),
    }
    if body.encoding is not None:
        attributes["encoding"] = body.encoding
    keys = index_keys(config)
    return [
        Heard(
            source=f"/webhooks/{keys[0]}" if keys else request.path,
            type="webhook",
            subject=request.path,
            event_key=_event_key(config, request, body.data, query),
            data=body.data,
            attributes=_encode(attributes),
            index_keys=keys,
            traceparent=headers.get("traceparent"),
        )
    ]


def _query(text: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        raise BadRequest(f"The query has more than {_QUERY_FIELDS_MAX} fields.") from None
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key not in found:
            found[key] = value
        elif isinstance(found[key], list):
            found[key].append(value)
        else:
            found[key] = [found[key], value]
    return found


def _event_key(config: Config, request: PushRequest, data: bytes, query: dict[str, Any]) -> str | None:
    """Return the identity of a delivery: what the sender says first, what can be derived last.

    A request that says nothing but whose time is signed can arrive only once: whoever sends it again copies it.
    """
    preset = PRESETS[config.signature.scheme]
    if preset.key_headers or preset.key_path:
        key = next((request.headers[name] for name in preset.key_headers if request.headers.get(name)), None)
        key = key or _text_at(data, preset.key_path)
    else:
        key = request.headers.get("webhook-id")
    if not key and config.event_key is not None:
        key = _chosen_key(config.event_key, request, data, query)
    if key:
        return key if len(key) <= _KEY_CHARS_MAX else fingerprint(key.encode("utf-8", "replace"))
    if config.dedup is not None:
        window = request.received_at // int(config.dedup.window * _SECOND_US)
        return f"{window}:{fingerprint(request.body)}"
    return replay_key(config, request)


def _chosen_key(wanted: str, request: PushRequest, data: bytes, query: dict[str, Any]) -> str | None:
    if _HEADER_NAME.fullmatch(wanted) is not None:
        return request.headers.get(wanted.lower())
    variables = {
        "body": _decode(data),
        "headers": dict(request.headers),
        "query": query,
        "method": request.method,
        "path": request.path,
    }
    try:
        value = evaluate(_expression(wanted), variables, KEY_VARIABLES)
    except Rejected:
        return None
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None


def _text_at(data: bytes, path: tuple[str, ...]) -> str | None:
    """Return the text or number at a path of the body; None where there is none."""
    value = _decode(data) if path else None
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _is_of_body(key: str) -> bool:
    """Return whether a configured key is a value of the body and of nothing else."""
    expression = _expression(key)
    return expression.startswith("body") and not any(name in expression for name in KEY_VARIABLES[1:])


def _expression(key: str) -> str:
    """Return the CEL of a key; `$.id` is read as `body.id`."""
    return "body" + key[1:] if key.startswith("$.") else key


def matches(config: Config, event: EventView) -> Verdict:
    """Return whether the method is one of those that are taken."""
    attributes = event.attributes
    method = attributes.get("method") if isinstance(attributes, dict) else None
    return _method_verdict(config.methods, method if isinstance(method, str) else None)


@lru_cache(1_000)
def _method_verdict(methods: tuple[str, ...], method: str | None) -> Verdict:
    fits = None if method is None else method in methods
    note = "the event has no method" if method is None else None
    return Verdict(result=fits, predicates=(Predicate("method", list(methods), method, fits, note),))

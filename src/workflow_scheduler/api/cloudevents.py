"""CloudEvents 1.0 over HTTP: binary, structured and batch, with every attribute checked.

`source` and `id` together are an event's identity, as the specification says; `type` is where the matcher looks.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from workflow_scheduler.api.body import decode_json
from workflow_scheduler.core.errors import BadRequest, FieldError, UnsupportedMedia, ValidationFailed
from workflow_scheduler.core.registry import Heard
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.telemetry.tracing import valid_traceparent

PROVIDER = "event"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BATCH_EVENTS_MAX = 1_000
TEXT_CHARACTERS_MAX = 1_024
EXTENSION_CHARACTERS_MAX = 4_096
EXTENSIONS_MAX = 50
_REQUIRED = ("specversion", "id", "source", "type")
_KNOWN = frozenset({*_REQUIRED, "subject", "time", "datacontenttype", "dataschema", "data", "data_base64"})
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}\Z")
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)
_PREFIX = "ce-"
_FIX = f"send `{STRUCTURED}`, `{BATCH}`, or `ce-` headers with the data as the body"
_envelope = msgspec.json.Decoder(dict[str, msgspec.Raw])
_envelopes = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_decode = msgspec.json.decode
_encode = msgspec.json.encode


def parse(headers: Mapping[str, str], body: bytes) -> tuple[list[Heard], bool]:
    """Return the events of a request, and whether it was a batch. Header names are lower-case.

    Raises:
        BadRequest: the body cannot be read.
        UnsupportedMedia: the request is none of the three forms.
        ValidationFailed: an attribute is missing or breaks a rule; the errors name it.

    """
    media = headers.get("content-type", "")
    kind = media.partition(";")[0].strip().lower()
    _check_charset(media)
    found, batch = _found(kind, headers, body)
    trace = headers.get("traceparent")
    if trace and valid_traceparent(trace):
        found = [heard if heard.traceparent else msgspec.structs.replace(heard, traceparent=trace) for heard in found]
    return found, batch


def _found(kind: str, headers: Mapping[str, str], body: bytes) -> tuple[list[Heard], bool]:
    if kind == STRUCTURED:
        return [_structured(_read(_envelope, body))], False
    if kind == BATCH:
        return _batch(body), True
    if kind.startswith("application/cloudevents"):
        raise UnsupportedMedia(f"the CloudEvents format `{kind[:80]}` is not supported", fix=_FIX)
    if "ce-specversion" in headers:
        return [_binary(headers, body, kind)], False
    if kind == "application/json" and body.lstrip()[:1] == b"{" and b'"specversion"' in body:
        return [_structured(_read(_envelope, body))], False
    if kind == "application/json" and body.lstrip()[:1] == b"[":
        return _batch(body), True
    raise UnsupportedMedia("the request is not a CloudEvent", fix=_FIX)


def _batch(body: bytes) -> list[Heard]:
    found = _read(_envelopes, body)
    if len(found) > BATCH_EVENTS_MAX:
        raise ValidationFailed(f"a batch holds {BATCH_EVENTS_MAX} events at most", fix="send several batches")
    heard = []
    for number, envelope in enumerate(found):
        try:
            heard.append(_structured(envelope))
        except ValidationFailed as error:
            fields = [FieldError(f"{number}.{line.field}", line.message) for line in error.errors]
            raise ValidationFailed(f"event {number} of the batch: {error.detail}", errors=fields) from None
    return heard


def _read(decoder: Any, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decode_json(body)  # tells what is wrong with the text, when it is the text
        raise BadRequest("the body is not a CloudEvent: a JSON object with attributes is expected") from None


def _structured(envelope: dict[str, msgspec.Raw]) -> Heard:
    data_given, base64_given = envelope.get("data"), envelope.get("data_base64")
    values: dict[str, str] = {}
    for name, raw in envelope.items():
        if name not in {"data", "data_base64"}:
            text = _text(name, raw)
            if text is not None:
                values[name] = text
    if data_given is not None and base64_given is not None:
        raise _broken("data_base64", "stands beside `data`; only one of them may be there")
    attributes: dict[str, Any] = {}
    data = b"null"
    if data_given is not None:
        data = bytes(data_given)
        decode_json(data)
    elif base64_given is not None:
        data = _packed(base64_given)
        attributes["encoding"] = "base64"
    return _heard(values, data, attributes, values.get("datacontenttype", "application/json"))


def _text(name: str, raw: msgspec.Raw) -> str | None:
    """Return an attribute's value as text: CloudEvents knows strings, whole numbers and booleans; null is absence."""
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _broken(name, "is not valid JSON text") from None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and name not in _KNOWN:
        return str(value)
    if not isinstance(value, str):
        raise _broken(name, "must be a string" if name in _KNOWN else "must be a string, a whole number or a boolean")
    return value


def _binary(headers: Mapping[str, str], body: bytes, kind: str) -> Heard:
    values = {
        name[len(_PREFIX) :]: _header_text(name, value) for name, value in headers.items() if name.startswith(_PREFIX)
    }
    attributes: dict[str, Any] = {}
    if not body:
        data = b"null"
    elif kind == "application/json" or kind.endswith("+json"):
        decode_json(body)
        data = body
    elif kind.startswith("text/") or kind in {"application/xml", "application/x-www-form-urlencoded"}:
        data = _plain_text(body)
    else:
        data = _encode(base64.b64encode(body).decode())
        attributes["encoding"] = "base64"
    return _heard(values, data, attributes, headers.get("content-type", ""))


def _heard(values: dict[str, str], data: bytes, attributes: dict[str, Any], content_type: str) -> Heard:
    """Check the attributes and return the event.

    Raises:
        ValidationFailed: naming every attribute that is missing or wrong.

    """
    problems = [*_missing(values), *_misshapen(values)]
    time = None
    if "time" in values:
        time = _instant(values["time"])
        if time is None:
            problems.append(FieldError("time", "is not an RFC 3339 time with an offset"))
    if problems:
        detail = "; ".join(f"`{line.field}` {line.message}" for line in problems[:3])
        raise ValidationFailed(f"not a CloudEvent 1.0: {detail}", errors=problems)
    extensions = {name: value for name, value in values.items() if name not in _KNOWN}
    trace = extensions.get("traceparent")
    attributes["content_type"] = content_type
    if "dataschema" in values:
        attributes["dataschema"] = values["dataschema"]
    if extensions:
        attributes["extensions"] = extensions
    return Heard(
        source=values["source"],
        type=values["type"],
        event_key=values["id"],
        data=data,
        attributes=_encode(attributes),
        subject=values.get("subject"),
        time=time,
        index_keys=(values["type"], "*"),  # "*": triggers that name the type by a pattern
        traceparent=trace if trace and valid_traceparent(trace) else None,
    )


def _missing(values: Mapping[str, str]) -> list[FieldError]:
    found = [FieldError(name, "is missing") for name in _REQUIRED if not values.get(name)]
    version = values.get("specversion")
    if version and version != "1.0":
        found.append(FieldError("specversion", "must be 1.0"))
    return found


def _misshapen(values: Mapping[str, str]) -> list[FieldError]:
    found = []
    if len(values) > len(_KNOWN) + EXTENSIONS_MAX:
        found.append(FieldError("", f"has more than {EXTENSIONS_MAX} extension attributes"))
    for name, value in values.items():
        most = TEXT_CHARACTERS_MAX if name in _KNOWN else EXTENSION_CHARACTERS_MAX
        if not _ATTRIBUTE.match(name) and name not in _KNOWN:
            found.append(FieldError(name[:64], "is not an attribute name: lower-case letters and digits only"))
        elif len(value) > most:
            found.append(FieldError(name, f"is longer than {most} characters"))
        elif not value.isprintable():
            found.append(FieldError(name, "holds control characters"))
    return found


def _instant(text: str) -> int | None:
    if not _RFC3339.match(text):
        return None
    try:
        return from_iso(text.upper())
    except (ValueError, OverflowError):
        return None


def _packed(raw: msgspec.Raw) -> bytes:
    """Return the JSON string of binary data, checked to be base64."""
    text = _text("data_base64", raw) or ""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _broken("data_base64", "is not base64") from None
    return _encode(text)


def _plain_text(body: bytes) -> bytes:
    try:
        return _encode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None


def _header_text(name: str, value: str) -> str:
    """Return the text of a `ce-` header, which is percent-encoded UTF-8."""
    if "%" not in value and value.isascii():
        return value
    try:
        return unquote(value.encode("latin-1").decode("utf-8"), errors="strict")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise BadRequest(f"the header `{name}` is not percent-encoded UTF-8") from None


def _check_charset(media: str) -> None:
    parameters = media.lower().partition(";")[2]
    if "charset" in parameters and "utf-8" not in parameters and "us-ascii" not in parameters:
        raise UnsupportedMedia("only UTF-8 is supported", fix="send `charset=utf-8`")


def _broken(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(f"not a CloudEvent 1.0: `{name}` {message}", errors=[FieldError(name, message)])

"""The ways in which a webhook's requests may be signed, as a configuration, and how each is checked and made."""

from __future__ import annotations

import base64
from typing import Literal

from pydantic import Field, model_validator

from workflow_scheduler.core.errors import SignatureInvalid
from workflow_scheduler.core.inbound import signature as signatures
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.registry import Config, PushRequest

_DIGESTS: dict[str, signatures.Digest] = {
    "hmac-sha256": "sha256", "hmac-sha1": "sha1", "hmac-sha512": "sha512", "standard-webhooks": "sha256",
}  # fmt: skip
_CARRIES = {"api-key": "the right key", "basic": "the right user and password"}
_WHSEC = b"whsec_"
_ID, _TIMESTAMP, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class Signature(Config):
    """How a request proves where it comes from."""

    scheme: Literal["hmac-sha256", "hmac-sha1", "hmac-sha512", "standard-webhooks", "api-key", "basic", "none"] = Field(
        title="Scheme",
        description="`none` takes anything from anyone; it must be written, it is never the default.",
        json_schema_extra={"ui": {"widget": "select"}},
    )
    secret: str | None = Field(
        default=None,
        min_length=1,
        title="Secret",
        description="The name of a stored secret. For `basic` its value is `user:password`.",
        json_schema_extra={"secret": True, "ui": {"widget": "secret"}},
    )
    header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+$",
        title="Header",
        description="Where the signature or key stands.",
        json_schema_extra={"ui": {"placeholder": "X-Signature"}},
    )
    prefix: str = Field(default="", title="Prefix", description="What stands before it, for example `sha256=`.")
    encoding: Literal["hex", "base64"] = Field(default="hex", title="Encoding", description="How the HMAC is written.")
    timestamp_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+$",
        title="Time stamp header",
        description="Where the sender's time stands, in seconds since 1970. Old requests are refused then.",
    )
    tolerance: Duration = Field(default=300.0, title="Tolerance", description="How old a request may be: 300s, 5m.")
    signed: str | None = Field(
        default=None,
        max_length=200,
        title="What is signed",
        description="`{body}`, or with a time stamp `{timestamp}.{body}`, or any text with `{id} {timestamp} {body}`.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Signature:
        if self.scheme != "none" and self.secret is None:
            message = f"the scheme `{self.scheme}` needs a `secret`"
            raise ValueError(message)
        if self.scheme.startswith("hmac-") and self.header is None:
            message = f"the scheme `{self.scheme}` needs the `header` that holds the signature"
            raise ValueError(message)
        if self.signed is not None and "{body}" not in self.signed:
            raise ValueError("`signed` must contain `{body}`, or the body would not be protected")
        if self.signed is not None and "{timestamp}" in self.signed and self.timestamp_header is None:
            raise ValueError("`signed` uses `{timestamp}`, so `timestamp_header` is needed")
        return self


def verify(rule: Signature, request: PushRequest, secret: str | None) -> None:
    """Check the signature of a request over its raw bytes.

    Raises:
        SignatureInvalid: it is missing, wrong, or too old, or the secret is not set.

    """
    if rule.scheme == "none":
        return
    key = signatures.secret_bytes(secret)
    headers = request.headers
    if rule.scheme == "standard-webhooks":
        signatures.check_time(headers.get(_TIMESTAMP), request.received_at, rule.tolerance)
        signatures.check_any(_expected(rule, request, key), headers.get(_SIGNATURE, "").split(" "))
        return
    if rule.timestamp_header is not None:
        signatures.check_time(headers.get(rule.timestamp_header.lower()), request.received_at, rule.tolerance)
    header = header_of(rule)
    if header not in headers:
        raise SignatureInvalid(f"The header `{header}` with {_CARRIES.get(rule.scheme, 'the signature')} is missing.")
    wrong = f"The header `{header}` does not hold {_CARRIES[rule.scheme]}." if rule.scheme in _CARRIES else None
    signatures.check(_expected(rule, request, key), headers[header], wrong)


def sign(rule: Signature, request: PushRequest, secret: str) -> dict[str, str]:
    """Return the headers with which a sender signs `request` at the time it is received."""
    if rule.scheme == "none":
        return {}
    headers: dict[str, str] = {}
    stamp = str(request.received_at // signatures.SECOND_US)
    if rule.scheme == "standard-webhooks":
        headers = {_ID: request.headers.get(_ID, "msg_1"), _TIMESTAMP: stamp}
    elif rule.timestamp_header is not None:
        headers = {rule.timestamp_header.lower(): stamp}
    stamped = PushRequest(
        request.method, request.path, request.query, {**request.headers, **headers}, request.body, request.received_at
    )
    return {**headers, header_of(rule): _expected(rule, stamped, signatures.secret_bytes(secret)).decode()}


def header_of(rule: Signature) -> str:
    """Return the lower-case name of the header that holds the signature or key; empty for `none`."""
    usual = {"api-key": "x-api-key", "basic": "authorization", "standard-webhooks": _SIGNATURE}
    if rule.scheme == "standard-webhooks":
        return _SIGNATURE
    return (rule.header or usual.get(rule.scheme, "")).lower()


def replay_key(rule: Signature, request: PushRequest) -> str | None:
    """Return the SHA-256 of the signed bytes where they hold a time stamp, else None."""
    timed = rule.scheme == "standard-webhooks" or (rule.scheme in _DIGESTS and rule.timestamp_header is not None)
    return signatures.fingerprint(_signed(rule, request)) if timed else None


def _expected(rule: Signature, request: PushRequest, key: bytes) -> bytes:
    """Return what the header must hold."""
    if rule.scheme == "api-key":
        return rule.prefix.encode() + key
    if rule.scheme == "basic":
        return b"Basic " + base64.b64encode(key)
    if rule.scheme == "standard-webhooks":
        return b"v1," + signatures.sign(_standard_key(key), _signed(rule, request), "sha256", "base64")
    return rule.prefix.encode() + signatures.sign(key, _signed(rule, request), _DIGESTS[rule.scheme], rule.encoding)


def _standard_key(key: bytes) -> bytes:
    if not key.startswith(_WHSEC):
        return key
    try:
        return base64.b64decode(key.removeprefix(_WHSEC), validate=True)
    except ValueError:
        return key.removeprefix(_WHSEC)


def _signed(rule: Signature, request: PushRequest) -> bytes:
    standard = rule.scheme == "standard-webhooks"
    stamp_header = _TIMESTAMP if standard else (rule.timestamp_header or "").lower()
    if rule.signed is None and not stamp_header:
        return request.body
    template = "{id}.{timestamp}.{body}" if standard else rule.signed or "{timestamp}.{body}"
    before, _, after = template.partition("{body}")
    values = {"{id}": request.headers.get(_ID, ""), "{timestamp}": request.headers.get(stamp_header, "")}
    return _filled(before, values) + request.body + _filled(after, values)


def _filled(template: str, values: dict[str, str]) -> bytes:
    for mark, value in values.items():
        template = template.replace(mark, value)
    return template.encode("utf-8", "replace")

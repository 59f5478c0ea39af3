"""The ways in which a webhook's requests may be signed, as a configuration, and how each is checked and made.

What the known senders do stands in core.inbound.presets; here is one implementation for all of them.
"""

from __future__ import annotations

import base64
from typing import Any, Final, Literal

import msgspec
from pydantic import Field, model_validator

from workflow_scheduler.core.errors import SignatureInvalid
from workflow_scheduler.core.inbound import signature as signatures
from workflow_scheduler.core.inbound.bearer import check_token, make_token
from workflow_scheduler.core.inbound.presets import PRESETS, Preset, Scheme
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.registry import Config, PushRequest

_CARRIES: Final = {"key": "the right key", "basic": "the right user and password", "jwt": "a token"}
_WHSEC = b"whsec_"
_SIGNATURES_MAX = 16
_TOKEN_SECONDS = 60


class Signature(Config):
    """How a request proves where it comes from."""

    scheme: Scheme = Field(
        title="Scheme",
        description="A known sender, or a general way. `none` takes anything from anyone; it must be written, it is "
        "never the default.",
        json_schema_extra={
            "ui": {"widget": "select", "labels": {name: preset.title for name, preset in PRESETS.items()}}
        },
    )
    secret: str | None = Field(
        default=None,
        min_length=1,
        title="Secret",
        description="The name of a stored secret. For `basic` its value is `user:password`; for `jwt` a shared secret, "
        "a PEM or JWK public key, or a JWK set.",
        json_schema_extra={"secret": True, "ui": {"widget": "secret"}},
    )
    header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+$",
        title="Header",
        description="Where the signature or key stands; known senders have their own.",
        json_schema_extra={"ui": {"placeholder": "X-Signature"}},
    )
    prefix: str = Field(
        default="",
        max_length=100,
        title="Prefix",
        description="What stands before it, for example `sha256=`.",
        json_schema_extra={"ui": {"placeholder": "sha256="}},
    )
    encoding: Literal["hex", "base64"] = Field(
        default="hex",
        title="Encoding",
        description="How the HMAC is written.",
        json_schema_extra={"ui": {"widget": "select"}},
    )
    timestamp_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+$",
        title="Time stamp header",
        description="Where the sender's time stands, in seconds since 1970. Old requests are refused then.",
        json_schema_extra={"ui": {"placeholder": "X-Timestamp"}},
    )
    tolerance: Duration = Field(
        default=300.0,
        title="Tolerance",
        description="How old a request may be: 300s, 5m.",
        json_schema_extra={"ui": {"widget": "duration"}},
    )
    signed: str | None = Field(
        default=None,
        max_length=200,
        title="What is signed",
        description="`{body}`, or with a time stamp `{timestamp}.{body}`, or any text with `{id} {timestamp} {body}`.",
        json_schema_extra={"ui": {"placeholder": "{timestamp}.{body}"}},
    )
    issuer: str | None = Field(
        default=None, min_length=1, max_length=500, title="Issuer", description="What `iss` of a JWT must be.",
        json_schema_extra={"ui": {"placeholder": "https://issuer.example"}},
    )  # fmt: skip
    audience: str | None = Field(
        default=None, min_length=1, max_length=500, title="Audience", description="What `aud` of a JWT must hold.",
        json_schema_extra={"ui": {"placeholder": "orders"}},
    )  # fmt: skip

    @model_validator(mode="after")
    def _is_complete(self) -> Signature:
        preset = PRESETS[self.scheme]
        if preset.kind != "none" and self.secret is None:
            message = f"the scheme `{self.scheme}` needs a `secret`"
            raise ValueError(message)
        if preset.kind == "hmac" and not (preset.header or self.header):
            message = f"the scheme `{self.scheme}` needs the `header` that holds the signature"
            raise ValueError(message)
        _check_settings(self, preset)
        if self.signed is not None and "{body}" not in self.signed:
            raise ValueError("`signed` must contain `{body}`, or the body would not be protected")
        timed = preset.timestamp or self.timestamp_header
        if self.signed is not None and "{timestamp}" in self.signed and not timed:
            raise ValueError("`signed` uses `{timestamp}`, so `timestamp_header` is needed")
        return self


_OWN: Final = ("prefix", "encoding", "timestamp_header", "issuer", "audience")


def _check_settings(rule: Signature, preset: Preset) -> None:
    """Refuse a setting that the scheme would not look at: who wrote it believes that it protects something."""
    for name in _OWN:
        if getattr(rule, name) != Signature.model_fields[name].default and name not in preset.open:
            message = f"the scheme `{rule.scheme}` has no `{name}`"
            raise ValueError(message)


def _preset(rule: Signature) -> Preset:
    """Return what the sender does, with what the user has said about it."""
    preset = PRESETS[rule.scheme]
    given: dict[str, Any] = {}
    if rule.header and "header" in preset.open:
        given["header"] = rule.header.lower()
    if "timestamp_header" in preset.open:
        stamp = (rule.timestamp_header or "").lower()
        signed = "{timestamp}.{body}" if stamp else "{body}"
        given |= {"timestamp": stamp, "signed": signed, "id_header": "webhook-id"}
        given |= {"prefix": rule.prefix, "encoding": rule.encoding}
    elif "prefix" in preset.open and rule.prefix:
        given["prefix"] = rule.prefix
    if rule.signed and "signed" in preset.open:
        given["signed"] = rule.signed
    return msgspec.structs.replace(preset, **given) if given else preset


def verify(rule: Signature, request: PushRequest, secret: str | None) -> None:
    """Check the request's signature over its raw bytes.

    Raises:
        SignatureInvalid: it is missing, wrong, or too old, or the secret is not set.

    """
    preset = _preset(rule)
    if preset.kind == "none":
        return
    key = signatures.secret_bytes(secret)
    given = request.headers.get(preset.header)
    if preset.timestamp:
        signatures.check_time(_stamp(preset, request), request.received_at, rule.tolerance)
    if given is None:
        carried = _CARRIES.get(preset.kind, "the signature")
        raise SignatureInvalid(f"The header `{preset.header}` with {carried} is missing.")
    if preset.kind == "jwt":
        _claims(rule, preset, request, secret or "")
    elif preset.kind == "hmac":
        signatures.check_any(_expected(preset, request, key), _candidates(preset, given))
    else:
        wrong = f"The header `{preset.header}` does not hold {_CARRIES[preset.kind]}."
        signatures.check(_expected(preset, request, key), given, wrong)


def sign(rule: Signature, request: PushRequest, secret: str) -> dict[str, str]:
    """Return the headers with which a sender signs `request` at the time it is received."""
    preset = _preset(rule)
    if preset.kind == "none":
        return {}
    seconds = request.received_at // signatures.SECOND_US
    if preset.kind == "jwt":
        claims: dict[str, Any] = {"exp": seconds + _TOKEN_SECONDS, "iss": rule.issuer, "aud": rule.audience}
        token = make_token({name: value for name, value in claims.items() if value is not None}, secret)
        return {preset.header: preset.prefix + token}
    headers: dict[str, str] = {}
    if rule.scheme == "standard-webhooks":
        headers[preset.id_header] = request.headers.get(preset.id_header, "msg_1")
    if preset.layout == "pairs":
        headers[preset.header] = f"t={seconds}"
    elif preset.timestamp:
        headers[preset.timestamp] = str(seconds)
    stamped = PushRequest(
        request.method, request.path, request.query, {**request.headers, **headers}, request.body, request.received_at
    )
    proof = _expected(preset, stamped, signatures.secret_bytes(secret)).decode()
    return {**headers, preset.header: f"t={seconds},{proof}" if preset.layout == "pairs" else proof}


def header_of(rule: Signature) -> str:
    """Return the lower-case name of the header that holds the signature or key; empty for `none`."""
    return _preset(rule).header


def replay_key(rule: Signature, request: PushRequest) -> str | None:
    """Return the SHA-256 of the signed bytes where they hold a time stamp, else None."""
    preset = _preset(rule)
    timed = bool(preset.timestamp) and "{timestamp}" in preset.signed
    return signatures.fingerprint(_signed(preset, request)) if timed else None


def covers_id(rule: Signature) -> bool:
    """Return whether the signature protects the header `webhook-id`."""
    preset = _preset(rule)
    return preset.id_header == "webhook-id" and "{id}" in preset.signed


def _stamp(preset: Preset, request: PushRequest) -> str | None:
    if preset.layout != "pairs":
        return request.headers.get(preset.timestamp)
    pairs = (part.partition("=") for part in request.headers.get(preset.header, "").split(","))
    return next((value for name, _, value in pairs if name == preset.timestamp), None)


def _candidates(preset: Preset, given: str) -> list[str]:
    """Return the signatures of a header: senders list two while they rotate a key."""
    if preset.layout == "one":
        return [given]
    parts = given.split(" " if preset.layout == "spaces" else ",")
    if not all(parts):
        return []
    return [part for part in parts if part.startswith(preset.prefix)][:_SIGNATURES_MAX]


def _expected(preset: Preset, request: PushRequest, key: bytes) -> bytes:
    """Return what the header must hold."""
    if preset.kind == "key":
        return preset.prefix.encode() + key
    if preset.kind == "basic":
        return b"Basic " + base64.b64encode(key)
    key = _standard_key(key) if preset.id_header and preset.layout == "spaces" else key
    proof = signatures.sign(key, _signed(preset, request), preset.digest, preset.encoding)
    return preset.prefix.encode() + proof


def _claims(rule: Signature, preset: Preset, request: PushRequest, secret: str) -> dict[str, Any]:
    given = request.headers.get(preset.header, "")
    if not given.startswith(preset.prefix):
        raise SignatureInvalid(f"The header `{preset.header}` does not begin with `{preset.prefix.strip()}`.")
    return check_token(
        given.removeprefix(preset.prefix),
        secret,
        request.received_at,
        tolerance_seconds=rule.tolerance,
        issuer=rule.issuer,
        audience=rule.audience,
    )


def _standard_key(key: bytes) -> bytes:
    if not key.startswith(_WHSEC):
        return key
    try:
        return base64.b64decode(key.removeprefix(_WHSEC), validate=True)
    except ValueError:
        return key.removeprefix(_WHSEC)


def _signed(preset: Preset, request: PushRequest) -> bytes:
    if preset.signed == "{body}":
        return request.body
    before, _, after = preset.signed.partition("{body}")
    values = {
        "{id}": request.headers.get(preset.id_header, "") if preset.id_header else "",
        "{timestamp}": (_stamp(preset, request) or "") if preset.timestamp else "",
    }
    return _filled(before, values) + request.body + _filled(after, values)


def _filled(template: str, values: dict[str, str]) -> bytes:
    for mark, value in values.items():
        template = template.replace(mark, value)
    return template.encode("utf-8", "replace")

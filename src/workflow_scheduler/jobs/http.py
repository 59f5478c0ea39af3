"""Send an HTTP request.

The request goes through the egress guard: private addresses are refused unless the settings allow them. The output is
`{"status", "headers", "body"}`: a JSON answer is parsed, text stays text, anything else is base64 (`"encoding":
"base64"`). With `output`, JSONPath (`$.items[0].id`) or CEL over `status`, `headers` and `body` picks the values that
become the output instead. A status outside `expect` fails the job. 5xx, 429 (its `Retry-After` is honoured), 408, 425
and lost connections may be tried again; other statuses may not. Each request carries an `Idempotency-Key` header that
is the same for every attempt of this job.

Credentials come from a connection of kind `http`, or from a secret (`auth`): a bearer token, basic, an API key in a
header, or an HMAC-SHA256 signature of `TIMESTAMP.BODY`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlencode, urlsplit

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from workflow_scheduler.core.errors import Rejected, RetryAfter, SchedulerError, Unavailable
from workflow_scheduler.core.http_auth import headers_of
from workflow_scheduler.core.model.attachment import media_type
from workflow_scheduler.core.model.connection import Http
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.time.retry_after import retry_after_seconds
from workflow_scheduler.jobs.credentials import fields_of, secret_of
from workflow_scheduler.jobs.http_reply import body_of, check_pick, picked

name = "http"
title = "Send an HTTP request"
inline = False
needs_code_allowance = False
examples = (
    {"method": "POST", "url": "https://example.test/publish", "json": {"n": 1}},
    {"url": "https://example.test/orders", "query": {"limit": 10}, "expect": ["2xx", 404]},
    {"url": "https://example.test/orders", "output": {"status": "status"}},
)
_EXPECTED = re.compile(r"^([1-5])xx$|^([1-5]\d\d)$")
_TRY_AGAIN = frozenset({408, 425, 500, 502, 503, 504})
_BODY_SHOWN = 500


def _expected(value: object) -> str:
    text = str(value).lower()
    if _EXPECTED.match(text) is None:
        message = f"`{value}` is not a status; write one as 200, or a class as 2xx"
        raise ValueError(message)
    return text


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        message = f"`{value}` is not an http or https URL"
        raise ValueError(message)
    return value


Pick = Annotated[str, AfterValidator(check_pick), Field(min_length=1, max_length=2_000)]
Expected = Annotated[str, BeforeValidator(_expected, json_schema_input_type=str | int)]
Scalar = str | int | float | bool


class Auth(ClosedConfig):
    """Credentials, taken from a named secret."""

    type: Literal["bearer", "basic", "header", "hmac"] = Field(
        title="Kind",
        description="bearer: Authorization: Bearer; basic: user name and password; header: an API key; hmac: signed.",
    )
    secret: str = Field(title="Secret", description="Name of the secret that holds the token, password or key.")
    username: Line | None = Field(default=None, title="User name", description="For basic.")
    header: Line | None = Field(default=None, title="Header", description="For header and hmac: its name.")

    @model_validator(mode="after")
    def _complete(self) -> Auth:
        needed = {"basic": ("username", self.username), "header": ("header", self.header)}.get(self.type)
        if needed is not None and needed[1] is None:
            message = f"auth of type {self.type} needs `{needed[0]}`"
            raise ValueError(message)
        return self


class Config(ClosedConfig):
    """The request, and the answers that count as success."""

    method: str = Field(default="GET", title="Method", pattern=r"^[A-Za-z]{1,16}$", description="The HTTP method.")
    url: Annotated[str, AfterValidator(_http_url)] = Field(title="URL", description="An http or https URL.")
    query: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, title="Query", description="Parameters that are added to the URL."
    )
    headers: dict[str, str] = Field(default_factory=dict, title="Headers", description="Request headers.")
    json_: Any = Field(default=None, alias="json", title="JSON", description="A value that is sent as JSON.")
    body: str | None = Field(default=None, title="Body", description="A body that is sent as it is, as UTF-8.")
    attachment: Line | None = Field(
        default=None,
        title="Attachment",
        description="Reference of a stored attachment that is sent as the body: ${event.data.attachments[0].ref}.",
    )
    expect: tuple[Expected, ...] = Field(
        default=("2xx",), title="Expected statuses", description="Statuses that count as success: 200, 404, 2xx."
    )
    timeout: Duration = Field(default=30.0, title="Time-out", description="For the whole request.", gt=0, le=3600)
    connection: Line | None = Field(
        default=None, title="Connection", description="Name of a connection of kind http, with the credentials."
    )
    auth: Auth | None = Field(default=None, title="Authentication", description="Credentials from a secret, instead.")
    output: dict[str, Pick] | None = Field(
        default=None,
        title="Output",
        description="Values by name: a JSONPath ($.a.b) or CEL over status, headers, body.",
    )
    follow_redirects: bool = Field(default=True, title="Follow redirects", description="Follow up to ten redirects.")
    reply_bytes_max: int = Field(
        default=1 << 20, title="Largest answer", description="In bytes; a larger one fails.", ge=1, le=64 << 20
    )

    @model_validator(mode="after")
    def _one_body(self) -> Config:
        given = (self.body is not None) + (self.attachment is not None) + ("json_" in self.model_fields_set)
        if given > 1:
            message = "write one of `json`, `body` and `attachment`"
            raise ValueError(message)
        if self.connection is not None and self.auth is not None:
            message = "write either `connection` or `auth`"
            raise ValueError(message)
        return self


async def run(config: Config, context: JobContext) -> dict[str, Any]:
    """Send the request and return the answer."""
    reply = await context.resources.outbound.send(await _request(config, context))
    if not _fits(reply.status, config.expect):
        raise _refusal(reply, context.now())
    output = {"status": reply.status, "headers": dict(reply.headers), **body_of(reply)}
    return output if config.output is None else picked(config.output, output)


def retryable(error: Exception) -> bool:
    """Return whether the failure may pass by itself."""
    return isinstance(error, SchedulerError) and error.retryable


async def _request(config: Config, context: JobContext) -> HttpRequest:
    headers = {"Idempotency-Key": context.idempotency_key}
    body = None
    if "json_" in config.model_fields_set:
        headers["Content-Type"] = "application/json"
        body = msgspec.json.encode(config.json_)
    elif config.body is not None:
        headers["Content-Type"] = "text/plain; charset=utf-8"
        body = config.body.encode()
    elif config.attachment is not None:
        one, body = await context.resources.attachments.open(context.tenant_id, config.attachment)
        headers["Content-Type"] = media_type(one.content_type)
    url = _with_query(config)
    credentials = await _credentials(config, context)
    if credentials is not None:
        headers.update(headers_of(credentials, url, body or b"", context.now()))
    own = {key.lower() for key in config.headers}
    headers = {key: value for key, value in headers.items() if key.lower() not in own}
    return HttpRequest(
        method=config.method.upper(),
        url=url,
        headers={**headers, **config.headers},
        body=body,
        timeout_seconds=config.timeout,
        reply_bytes_max=config.reply_bytes_max,
        redirects_max=10 if config.follow_redirects else 0,
    )


def _with_query(config: Config) -> str:
    if not config.query:
        return config.url
    pairs = [
        (key, str(item).lower() if isinstance(item, bool) else item)
        for key, value in config.query.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    base, mark, fragment = config.url.partition("#")
    return f"{base}{'&' if '?' in base else '?'}{urlencode(pairs)}{mark}{fragment}"


async def _credentials(config: Config, context: JobContext) -> Http | None:
    if config.connection is not None:
        return await fields_of(context, config.connection, Http)
    auth = config.auth
    if auth is None:
        return None
    value = await secret_of(context, auth.secret)
    try:
        return Http(auth=auth.type, secret=value, username=auth.username, header=auth.header)
    except ValueError as error:
        raise Rejected(f"the secret `{auth.secret}` cannot be used: {error}") from error


def _fits(status: int, expected: tuple[str, ...]) -> bool:
    text = str(status)
    return any(entry in (text, f"{text[0]}xx") for entry in expected)


def _refusal(reply: HttpReply, now: int) -> SchedulerError:
    shown = reply.body[:_BODY_SHOWN].decode("utf-8", "replace").strip()
    detail = f"{urlsplit(reply.url).hostname} answered {reply.status}" + (f": {shown}" if shown else "")
    wait = retry_after_seconds(reply.headers.get("retry-after"), now)
    if reply.status == 429:  # noqa: PLR2004 - Too Many Requests
        return RetryAfter(detail, retry_after_seconds=wait)
    if reply.status in _TRY_AGAIN or reply.status > 500:  # noqa: PLR2004 - server errors
        return Unavailable(detail, retry_after_seconds=wait)
    return Rejected(detail)

"""Requests to Amazon Web Services: signed (Signature Version 4), and their errors as ours.

Source: AWS General Reference, "Create a signed AWS API request"; its example of a GET on IAM is a test.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from workflow_scheduler.core.errors import NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.model.connection import Aws
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.core.time.clock import to_datetime

Send = Callable[[HttpRequest], Awaitable[HttpReply]]
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SLOW: Final = frozenset({"Throttling", "ThrottlingException", "RequestThrottled", "OverLimit", "SlowDown"})
_WRONG_KEYS: Final = frozenset({
    "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "ExpiredToken",
    "ExpiredTokenException", "AccessDenied", "AccessDeniedException", "InvalidAccessKeyId", "IncompleteSignature",
    "AuthFailure", "MissingAuthenticationToken",
})  # fmt: skip
_SERVER_ERROR = 500
_TOO_MANY = 429
_OK = 300
RETRY_SECONDS: Final = 5.0
EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
_QUEUES: Final = "application/x-amz-json-1.0"


class Call(NamedTuple):
    """One request: to which service and address, with which headers and body."""

    service: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    method: str = "POST"
    timeout_seconds: float = 30.0
    reply_bytes_max: int = 1 << 20


def endpoint(fields: Aws, service: str) -> str:
    """Return the address of a service in the connection's region."""
    return (fields.endpoint or f"https://{service}.{fields.region}.amazonaws.com").rstrip("/") + "/"


def signed(fields: Aws, call: Call, now: int) -> dict[str, str]:
    """Return the headers with which `call` is sent at `now` (microseconds)."""
    parts = urlsplit(call.url)
    stamp = to_datetime(now).strftime("%Y%m%dT%H%M%SZ")
    day = stamp[:8]
    headers = {**{name.lower(): value.strip() for name, value in call.headers.items()}, "host": parts.netloc}
    headers["x-amz-date"] = stamp
    if fields.session_token:
        headers["x-amz-security-token"] = fields.session_token
    names = ";".join(sorted(headers))
    canonical = "\n".join([
        call.method, quote(parts.path or "/", safe="/-_.~%"), "&".join(sorted(parts.query.split("&"))),
        *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, hashlib.sha256(call.body).hexdigest(),
    ])  # fmt: skip
    scope = f"{day}/{fields.region}/{call.service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{fields.secret_access_key}".encode()
    for part in (day, fields.region, call.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    proof = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    del headers["host"]  # the client writes it
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={fields.access_key_id}/{scope}, SignedHeaders={names}, Signature={proof}"
    )
    return headers


async def ask(send: Send, fields: Aws, call: Call, now: int) -> bytes:
    """Send a signed request and return the body of its answer.

    Raises:
        Rejected: the service refuses it for good, with its own words.
        RetryAfter: it asks to wait.
        NotConnected: it cannot be reached, or does not work now.

    """
    reply = await send(
        HttpRequest(
            method=call.method, url=call.url, headers=signed(fields, call, now), body=call.body,
            timeout_seconds=call.timeout_seconds, reply_bytes_max=call.reply_bytes_max,
        )
    )  # fmt: skip
    if reply.status < _OK:
        return reply.body
    code, message = _problem(reply.body)
    if reply.status == _TOO_MANY or code in _SLOW:
        raise RetryAfter(f"{call.service} asks to wait: {message}", retry_after_seconds=RETRY_SECONDS)
    if reply.status >= _SERVER_ERROR:
        raise NotConnected(f"{call.service} answered {reply.status}: {message}")
    fix = "Check the keys of the connection, and what they are allowed to do." if code in _WRONG_KEYS else None
    raise Rejected(f"{call.service} refuses the request: {code}: {message}", fix=fix)


async def queue_action(
    send: Send, fields: Aws, action: str, body: Mapping[str, Any], now: int, timeout_seconds: float = 15.0
) -> dict[str, Any]:
    """Return the answer of SQS to an action.

    Raises:
        Rejected, RetryAfter, NotConnected: as `ask`.

    """
    headers = {"content-type": _QUEUES, "x-amz-target": f"AmazonSQS.{action}"}
    content = msgspec.json.encode(body)
    call = Call("sqs", endpoint(fields, "sqs"), content, headers, timeout_seconds=timeout_seconds)
    answer: dict[str, Any] = msgspec.json.decode(await ask(send, fields, call, now) or b"{}")
    return answer


async def queue_url(send: Send, fields: Aws, queue: str, now: int) -> str:
    """Return the URL of a queue that is given by its name or its URL.

    Raises:
        Rejected: there is no such queue, or the keys may not use it.
        RetryAfter, NotConnected: as `ask`.

    """
    if queue.startswith(("https://", "http://")):
        return queue
    url = (await queue_action(send, fields, "GetQueueUrl", {"QueueName": queue}, now)).get("QueueUrl")
    if not isinstance(url, str):
        raise Rejected(f"there is no queue `{queue}` in {fields.region}", fix="Name one of that region.")
    return url


def _problem(body: bytes) -> tuple[str, str]:
    """Return code and message of an error, as JSON or as XML says them."""
    try:
        told: Any = msgspec.json.decode(body)
        code = str(told.get("__type") or told.get("code") or "error").rpartition("#")[2]
        return code, str(told.get("message") or told.get("Message") or "")[:300]
    except (ValueError, AttributeError):
        text = body.decode("utf-8", "replace")
        return _between(text, "<Code>", "</Code>") or "error", _between(text, "<Message>", "</Message>")[:300]


def _between(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0]


async def caller(send: Send, fields: Aws, now: int) -> str:
    """Return the account and the user that the keys of a connection belong to.

    Raises:
        Rejected, RetryAfter, NotConnected: as `ask`.

    """
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    content = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = await ask(send, fields, Call("sts", endpoint(fields, "sts"), body, content), now)
    return _between(answer.decode("utf-8", "replace"), "<Arn>", "</Arn>")

"""A small HTTP client on the standard library: nothing heavy is imported, so that commands start fast."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from workflow_scheduler.core.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    MethodNotAllowed,
    NotConnected,
    NotFound,
    SchedulerError,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)

TIMEOUT_SECONDS = 30.0
_JSON = "application/json"
_ERROR_STATUS = 400
_BY_STATUS: dict[int, type[SchedulerError]] = {
    400: BadRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    412: Conflict,
    422: ValidationFailed,
    503: Unavailable,
}


class Answer(msgspec.Struct, frozen=True):
    """An answer of the service: its status, headers (lower-case names) and the bytes of its body."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def value(self) -> Any:
        """Return the decoded JSON body, or None when it is empty.

        Raises:
            NotConnected: the body is no JSON, so whoever answers is not this service.

        """
        if not self.content.strip():
            return None
        try:
            return msgspec.json.decode(self.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NotConnected(
                f"the answer ({self.status}) is not JSON: this is not the service",
                fix="check the address: --server or WFS_SERVER",
            ) from None


def segment(text: str) -> str:
    """Return `text` so that it is one segment of a path."""
    return quote(text, safe="")


class Client:
    """Calls one service. `server` is its base address, `key` an API key or a token."""

    def __init__(self, server: str, key: str | None = None) -> None:
        """Take the address; nothing is opened before the first call.

        Raises:
            BadRequest: the address is not one of HTTP.

        """
        self.server = server.rstrip("/")
        parts = urlsplit(server)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadRequest(f"`{server}` is no address of a service", fix="write it as http://127.0.0.1:8003")
        try:
            port = parts.port
        except ValueError:
            raise BadRequest(f"`{server}` has no valid port", fix="write it as http://127.0.0.1:8003") from None
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._base = parts.path.rstrip("/")
        self._key = key

    def get(self, path: str, **query: Any) -> Any:
        """Return the decoded answer of a GET; query values that are None are left out.

        Raises:
            SchedulerError: the service refused, as its problem document says; NotConnected: it did not answer.

        """
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None, **headers: str | None) -> Any:
        """Return the decoded answer of a POST with a JSON body; `idempotency_key=…` becomes `Idempotency-Key`.

        Raises:
            SchedulerError: as for `get`.

        """
        named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        return self.call("POST", path, body=body, headers=named)

    def put(self, path: str, body: Any) -> Any:
        """Return the decoded answer of a PUT with a JSON body.

        Raises:
            SchedulerError: as for `get`.

        """
        return self.call("PUT", path, body=body)

    def delete(self, path: str, **query: Any) -> Any:
        """Return the decoded answer of a DELETE.

        Raises:
            SchedulerError: as for `get`.

        """
        return self.call("DELETE", path, query=query)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Any:
        """Return the decoded answer of any call; `timeout` is in seconds.

        Raises:
            SchedulerError: as for `get`.

        """
        content = None if body is None else msgspec.json.encode(body)
        sent = {"content-type": _JSON, **(headers or {})} if content is not None else dict(headers or {})
        answer = self.send(method, path, query=query, content=content, headers=sent, timeout=timeout)
        if answer.status >= _ERROR_STATUS:
            raise problem(answer)
        return answer.value()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Send bytes and return the answer, whatever its status.

        Raises:
            NotConnected: nothing answered within `timeout` seconds.

        """
        connection = self._connection(timeout)
        try:
            connection.request(method, self._target(path, query), body=content, headers=self._headers(headers))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def stream(self, path: str, *, last_id: str | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the JSON of server-sent events until the service ends the stream; `reset` events are left out.

        Raises:
            SchedulerError: as for `get`.

        """
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last_id} if last_id else {})
        connection = self._connection(None)
        try:
            connection.request("GET", self._target(path, query), headers=self._headers(headers))
            response = connection.getresponse()
            if response.status >= _ERROR_STATUS:
                raise problem(Answer(response.status, dict(response.getheaders()), response.read()))
            yield from _events(response)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _connection(self, timeout: float | None) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def _target(self, path: str, query: Mapping[str, Any] | None) -> str:
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        return self._base + path + (f"?{urlencode(given)}" if given else "")

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        own = {"accept": _JSON, "user-agent": "workflow-scheduler-cli"}
        if self._key:
            own["authorization"] = f"Bearer {self._key}"
        return {**own, **(headers or {})}

    def _unreachable(self, error: Exception) -> NotConnected:
        reason = "no answer in time" if isinstance(error, TimeoutError) else (str(error) or type(error).__name__)
        return NotConnected(
            f"cannot reach {self.server}: {reason}",
            fix="start the service with `workflow-scheduler up`, or name its address with --server or WFS_SERVER",
        )


def problem(answer: Answer) -> SchedulerError:
    """Return the error that a problem document describes; of an unknown code, the one of its status."""
    try:
        found = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    document: dict[str, Any] = found if isinstance(found, dict) else {}
    kind = _kinds(SchedulerError).get(str(document.get("code"))) or _BY_STATUS.get(answer.status, SchedulerError)
    detail = str(document.get("detail") or document.get("title") or f"the service answered {answer.status}")
    if kind is MethodNotAllowed:
        return MethodNotAllowed(detail, fix=document.get("fix"))
    return kind(detail, fix=document.get("fix"), errors=_fields(document.get("errors")))


def _kinds(kind: type[SchedulerError]) -> dict[str, type[SchedulerError]]:
    """Return the error classes by their codes."""
    found = {kind.code: kind}
    for below in kind.__subclasses__():
        found |= _kinds(below)
    return found


def _fields(errors: Any) -> list[FieldError]:
    if not isinstance(errors, list):
        return []
    return [
        FieldError(
            str(one.get("field", "")),
            str(one.get("message", "")),
            line=one.get("line"),
            column=one.get("column"),
            suggestion=one.get("suggestion"),
        )
        for one in errors
        if isinstance(one, dict)
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class EventReader:
    """Puts server-sent events together, line by line; `last_id` is where a later stream goes on."""

    def __init__(self) -> None:
        """Begin between two events."""
        self._kind, self._data = "", ""
        self.last_id: str | None = None

    def feed(self, raw: bytes) -> dict[str, Any] | None:
        """Take in a line, and return the event that it ends, if any; `reset` events are left out."""
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.strip()
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data += value
        elif name == "id":
            self.last_id = value
        elif not line:
            kind, data = self._kind, self._data
            self._kind, self._data = "", ""
            if data and kind != "reset":
                found: dict[str, Any] = msgspec.json.decode(data)
                return found
        return None


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    reader = EventReader()
    for raw in response:
        found = reader.feed(raw)
        if found is not None:
            yield found

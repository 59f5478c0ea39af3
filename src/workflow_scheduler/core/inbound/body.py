"""Request bodies of any content type as JSON bytes, strictly read.

====================================  =================================================================
content type                          becomes
====================================  =================================================================
empty body                            null
JSON (`application/json`, `…+json`)   the same bytes, after they have been checked
`application/x-www-form-urlencoded`   an object of fields; a field that occurs more than once is a list
`multipart/form-data`                 the same; a file is `{filename, content_type, size, base64}`
`text/*`, XML, YAML, JavaScript       a string
none                                  JSON where it is JSON, else a string, else base64
anything else                         a base64 string, with `encoding` base64
====================================  =================================================================

JSON is UTF-8, at most 200 levels deep, with whole numbers of at most 64 bits, and without NaN and Infinity. Of equal
keys in one object the last one counts.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import re2

from workflow_scheduler.core.errors import BadRequest, UnsupportedMedia

DEPTH_MAX = 200
FIELDS_MAX = 1_000
PART_HEADER_BYTES_MAX = 8_192
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_BOUNDARY_CHARS_MAX = 200
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252"})
_TEXTUAL = frozenset({"application/xml", "application/yaml", "application/x-yaml", "application/javascript"})
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_LONG_DIGITS = re2.compile(rb"[0-9]{19}")
_PARAMETER = re2.compile(r';\s*([A-Za-z0-9_*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"\s]*)')
BOM = b"\xef\xbb\xbf"
_decode = msgspec.json.decode
_encode = msgspec.json.encode


class Body(msgspec.Struct, frozen=True, gc=False):
    """A body as JSON bytes; `encoding` is `base64` where the JSON is a base64 string, else None."""

    data: bytes
    encoding: str | None = None


_NULL = Body(b"null")


def read_body(body: bytes, content_type: str) -> Body:
    """Return the body as JSON.

    Raises:
        BadRequest: the body is not what its content type says.
        UnsupportedMedia: the text is in a character set that is not supported.

    """
    if not body:
        return _NULL
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        _check_utf8(content_type)
        return Body(checked_json(body))
    if kind in _FORMS:
        fields = _form(body) if kind != "multipart/form-data" else _parts(body, content_type)
        return Body(_encode(_grouped(fields)))
    if kind.startswith("text/") or kind in _TEXTUAL or kind.endswith("+xml"):
        return Body(_encode(_text(body, content_type)))
    return _binary(body) if kind else _untyped(body)


def checked_json(body: bytes) -> bytes:
    """Return `body` (without a byte order mark) when it is acceptable JSON.

    Raises:
        BadRequest: it is not; the text says where.

    """
    body = body.removeprefix(BOM)
    read_json(body)
    return body


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        BadRequest: it is not acceptable JSON; the text says where.

    """
    try:
        value = _decode(body)
    except RecursionError:
        raise BadRequest(f"The JSON is nested deeper than {DEPTH_MAX} levels.") from None
    except UnicodeDecodeError:
        raise BadRequest("The JSON is not UTF-8 text.") from None
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {str(error)[:200]}.", fix="Send strict JSON in UTF-8.") from None
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX or _LONG_DIGITS.search(body) is not None:
        _check_values(value)
    return value


def _check_values(value: Any) -> None:
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        containers = 0
        for one in level:
            if isinstance(one, (dict, list)):
                below.extend(one.values() if isinstance(one, dict) else one)
                containers += 1
            elif isinstance(one, int) and not _INT_MIN <= one <= _INT_MAX:
                raise BadRequest("The JSON holds a whole number of more than 64 bits.", fix="Send it as text.")
        depth += containers > 0
        if depth > DEPTH_MAX:
            raise BadRequest(f"The JSON is nested deeper than {DEPTH_MAX} levels.")
        level = below


def parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header value, for example `boundary` and `charset`, with lower-case names."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        text = match[2]
        if text.startswith('"'):
            text = _unescape(text[1:-1])
        found.setdefault(match[1].lower(), text)
    return found


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    kept: list[str] = []
    taken = False
    for char in text:
        if char == "\\" and not taken:
            taken = True
        else:
            kept.append(char)
            taken = False
    return "".join(kept)


def _check_utf8(content_type: str) -> None:
    if ";" not in content_type:
        return
    charset = parameters(content_type).get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"JSON in the character set `{charset[:40]}` is not supported.", fix="Send UTF-8.")


def _text(body: bytes, content_type: str) -> str:
    charset = parameters(content_type).get("charset", "utf-8").lower()
    if charset not in _CHARSETS:
        raise UnsupportedMedia(f"Text in the character set `{charset[:40]}` is not supported.", fix="Send UTF-8.")
    try:
        return body.decode(charset)
    except UnicodeDecodeError:
        raise BadRequest(f"The body is not text in the character set `{charset}`.") from None


def _untyped(body: bytes) -> Body:
    if body.lstrip()[:1] in (b"{", b"["):
        return Body(checked_json(body))
    try:
        return Body(_encode(body.decode()))
    except UnicodeDecodeError:
        return _binary(body)


def _binary(body: bytes) -> Body:
    return Body(b'"' + base64.b64encode(body) + b'"', "base64")


def _form(body: bytes) -> Iterator[tuple[str, Any]]:
    try:
        text = body.decode()
        return iter(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX))
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8 text.") from None
    except ValueError:
        raise BadRequest(f"The form has more than {FIELDS_MAX} fields.") from None


def _grouped(fields: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    grouped: dict[str, list[Any]] = {}
    for name, value in fields:
        grouped.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in grouped.items()}


def _parts(body: bytes, content_type: str) -> Iterator[tuple[str, Any]]:
    boundary = parameters(content_type).get("boundary", "")
    if not boundary or len(boundary) > _BOUNDARY_CHARS_MAX or not boundary.isascii():
        raise BadRequest("The multipart body names no usable boundary.", fix="Send `boundary=` in the content type.")
    mark = b"--" + boundary.encode()
    if body.count(b"\r\n" + mark) > FIELDS_MAX:
        raise BadRequest(f"The form has more than {FIELDS_MAX} fields.")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004 - a preamble and at least the end
        raise BadRequest("The multipart body is cut off: its closing boundary is missing.")
    return iter([_part(piece) for piece in pieces[1:-1]])


def _part(piece: bytes) -> tuple[str, Any]:
    head, gap, content = piece.partition(b"\r\n\r\n")
    if not gap or len(head) > PART_HEADER_BYTES_MAX:
        raise BadRequest("A part of the multipart body has no readable header.")
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    disposition = parameters(headers.get("content-disposition", ""))
    if "name" not in disposition:
        raise BadRequest("A part of the multipart body has no name.")
    kind = headers.get("content-type", "")
    if "filename" in disposition:
        encoded = base64.b64encode(content).decode()
        facts = {"filename": disposition["filename"], "content_type": kind, "size": len(content), "base64": encoded}
        return disposition["name"], facts
    return disposition["name"], _text(content, kind)

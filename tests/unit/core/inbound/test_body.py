"""Bodies of every kind, and hostile ones."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.errors import BadRequest, UnsupportedMedia
from workflow_scheduler.core.inbound.body import parameters, read_body

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
HOSTILE = {
    "NaN": b"NaN",
    "Infinity": b"[Infinity]",
    "-Infinity": b"-Infinity",
    "truncated": b'{"a":',
    "bad UTF-8": b'"\xff"',
    "surrogate bytes": b'"\xed\xa0\x80"',
    "lone surrogate": b'"\\ud800"',
    "NUL": b'"a\x00b"',
    "trailing": b"{} x",
    "single quotes": b"{'a': 1}",
    "5,000 digits": b"1" * 5_000,
    "30 digits": b'{"a": ' + b"1" * 30 + b"}",
    "too large float": b"1e400",
    "10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "201 deep": b"[" * 201 + b"]" * 201,
    "deep objects": b'{"a":' * 300 + b"1" + b"}" * 300,
    "space only": b"  ",
    "comment": b"/* */ {}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "leading zero": b"01",
    "trailing comma": b"[1,]",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_body(body, JSON)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"null",
        b'"x"',
        b"[1, 2.5, -3]",
        b"18446744073709551615",
        b"-9223372036854775808",
        b'"\\u0000"',
        b"[" * 200 + b"]" * 200,
        b"1e-400",
        '{"ключ": "значение"}'.encode(),
        b'"12345678901234567890123"',
        b" {} ",
    ],
)
def test_json_is_kept_byte_for_byte(body: bytes) -> None:
    assert read_body(body, JSON).data == body


def test_of_equal_keys_the_last_counts() -> None:
    assert json.loads(read_body(b'{"a": 1, "a": 2}', JSON).data) == {"a": 2}


def test_a_byte_order_mark_is_dropped() -> None:
    assert read_body(b"\xef\xbb\xbf{}", "application/json; charset=utf-8").data == b"{}"


@pytest.mark.parametrize("kind", [JSON, "text/plain", "", FORM, "application/octet-stream"])
def test_an_empty_body_is_null(kind: str) -> None:
    assert read_body(b"", kind).data == b"null"


def test_forms_become_objects() -> None:
    assert json.loads(read_body(b"a=1&b=2&b=3&c=%C3%A9&d=", FORM).data) == {
        "a": "1",
        "b": ["2", "3"],
        "c": "é",
        "d": "",
    }


@pytest.mark.parametrize("body", [b"a=%ff", b"\xff=1", b"&".join(b"a=1" for _ in range(1_001))])
def test_forms_that_cannot_be_read_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_body(body, FORM)


def test_multipart_fields_and_files() -> None:
    body = (
        b'--xx\r\nContent-Disposition: form-data; name="who"\r\n\r\nAda\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\x00\xff\r\n--xx--\r\n"
    )
    assert json.loads(read_body(body, 'multipart/form-data; boundary="xx"').data) == {
        "who": "Ada",
        "file": {"filename": 'a "b".bin', "content_type": "application/octet-stream", "size": 2, "base64": "AP8="},
    }


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=xx"),
        (b"--xx\r\nno header\r\n--xx--", "multipart/form-data; boundary=xx"),
        (b"--xx\r\nA: b\r\n\r\nc\r\n--xx--", "multipart/form-data; boundary=xx"),
        (b"--xx\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--xx--", "multipart/form-data; boundary=xx"),
        (b"\r\n--x" * 1_002 + b"--", "multipart/form-data; boundary=x"),
    ],
)
def test_multipart_that_cannot_be_read_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(BadRequest):
        read_body(body, kind)


def test_text_and_binary() -> None:
    assert json.loads(read_body("été".encode(), "text/plain").data) == "été"
    assert json.loads(read_body("été".encode("latin-1"), "text/plain; charset=ISO-8859-1").data) == "été"
    assert json.loads(read_body(b"<a/>", "application/soap+xml").data) == "<a/>"
    packed = read_body(b"\x00\xff", "image/png")
    assert packed.encoding == "base64"
    assert base64.b64decode(json.loads(packed.data)) == b"\x00\xff"


def test_without_a_content_type_the_body_says_what_it_is() -> None:
    assert read_body(b'{"a": 1}', "").data == b'{"a": 1}'
    assert read_body(b"hello", "").data == b'"hello"'
    assert read_body(b"\xff", "").encoding == "base64"


def test_unknown_character_sets_are_refused() -> None:
    for kind in ("text/plain; charset=klingon", "application/json; charset=utf-16"):
        with pytest.raises(UnsupportedMedia):
            read_body(b"x", kind)
    with pytest.raises(BadRequest):
        read_body(b"\xff", "text/plain; charset=utf-8")


def test_parameters_of_a_header() -> None:
    assert parameters('a/b; Boundary="x\\"y" ; charset=utf-8; charset=x') == {"boundary": 'x"y', "charset": "utf-8"}


@given(
    body=st.binary(max_size=300), kind=st.sampled_from([JSON, FORM, "multipart/form-data; boundary=a", "text/x", ""])
)
def test_any_bytes_give_json_or_a_clear_refusal(body: bytes, kind: str) -> None:
    try:
        json.loads(read_body(body, kind).data)
    except (BadRequest, UnsupportedMedia):
        return

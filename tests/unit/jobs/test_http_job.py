import base64

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import NotConnected, OutcomeUnknown, Rejected, RetryAfter, Unavailable
from workflow_scheduler.core.model.attachment import StoredAttachment
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.jobs import http
from workflow_scheduler.testing.job_context import FakeJobContext, FakeOutbound, FakeResources

URL = "https://example.test/orders"


def answer(status=200, body=b"", content_type="application/json", **headers):
    return HttpReply(status=status, headers={"content-type": content_type, **headers}, body=body, url=URL)


async def call(reply=None, *, secrets=None, **config):
    outbound = FakeOutbound([reply or answer()])
    context = FakeJobContext(resources=FakeResources(outbound), secrets=secrets)
    output = await http.run(http.Config.model_validate({"url": URL, **config}), context)
    return output, outbound.requests[0]


async def test_defaults():
    output, request = await call(answer(body=b'{"a":1}'))
    assert output == {"status": 200, "headers": {"content-type": "application/json"}, "body": {"a": 1}}
    assert (request.method, request.url, request.body) == ("GET", URL, None)
    assert request.headers == {"Idempotency-Key": "run-1:job"}
    assert (request.timeout_seconds, request.redirects_max, request.reply_bytes_max) == (30.0, 10, 1 << 20)


async def test_json_body():
    _, request = await call(method="post", json={"n": [1, None]})
    assert request.method == "POST"
    assert request.body == b'{"n":[1,null]}'
    assert request.headers["Content-Type"] == "application/json"


async def test_json_null_is_a_body():
    assert (await call(method="POST", json=None))[1].body == b"null"


async def test_text_body_and_own_headers_win():
    _, request = await call(method="POST", body="a=1", headers={"content-type": "x/y", "idempotency-key": "mine"})
    assert request.body == b"a=1"
    assert request.headers == {"content-type": "x/y", "idempotency-key": "mine"}


@pytest.mark.parametrize(
    ("url", "query", "expected"),
    [
        (URL, {"a": 1, "b": "x y&z"}, f"{URL}?a=1&b=x+y%26z"),
        (URL, {"a": [1, 2]}, f"{URL}?a=1&a=2"),
        (URL, {"a": True}, f"{URL}?a=true"),
        (f"{URL}?x=1", {"a": 1}, f"{URL}?x=1&a=1"),
        (f"{URL}#part", {"a": 1}, f"{URL}?a=1#part"),
    ],
)
async def test_query(url, query, expected):
    assert (await call(url=url, query=query))[1].url == expected


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "secret": "token"}, "Authorization", "Bearer s3cret"),
        ({"type": "basic", "secret": "token", "username": "me"}, "Authorization",
         "Basic " + base64.b64encode(b"me:s3cret").decode()),
        ({"type": "header", "secret": "token", "header": "X-Key"}, "X-Key", "s3cret"),
    ],
)  # fmt: skip
async def test_credentials_come_from_secrets(auth, header, value):
    assert (await call(auth=auth, secrets={"token": "s3cret"}))[1].headers[header] == value


async def test_a_missing_secret_is_named_with_the_remedy():
    with pytest.raises(Rejected, match="no secret `token`") as caught:
        await call(auth={"type": "bearer", "secret": "token"})
    assert "secret set token" in caught.value.fix


@pytest.mark.parametrize(
    ("reply", "body", "encoding"),
    [
        (answer(body=b"[1]", content_type="application/problem+json; charset=utf-8"), [1], None),
        (answer(body=b"{broken"), "{broken", None),
        (answer(body="grüße".encode(), content_type="text/plain; charset=utf-8"), "grüße", None),
        (answer(body=b"\xff", content_type="text/html"), "\ufffd", None),
        (answer(body=b"\x00\x01", content_type="image/png"), "AAE=", "base64"),
        (answer(status=204), None, None),
    ],
)
async def test_body_of_the_answer(reply, body, encoding):
    output, _ = await call(reply)
    assert output["body"] == body
    assert output.get("encoding") == encoding


@pytest.mark.parametrize(
    ("expect", "status", "accepted"),
    [(None, 299, True), (None, 304, False), ([200, 404], 404, True), (["2xx", "404"], 204, True), (["3XX"], 302, True),
     ([201], 200, False)],
)  # fmt: skip
async def test_expected_statuses(expect, status, accepted):
    config = {} if expect is None else {"expect": expect}
    if accepted:
        assert (await call(answer(status), **config))[0]["status"] == status
    else:
        with pytest.raises(Rejected):
            await call(answer(status), **config)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Rejected), (401, Rejected), (404, Rejected), (409, Rejected), (422, Rejected), (408, Unavailable),
     (425, Unavailable), (429, RetryAfter), (500, Unavailable), (502, Unavailable),
     (503, Unavailable), (599, Unavailable)],
)  # fmt: skip
async def test_what_may_be_tried_again(status, kind):
    with pytest.raises(kind) as caught:
        await call(answer(status, body=b"because", content_type="text/plain"))
    assert type(caught.value) is kind
    assert caught.value.detail == f"example.test answered {status}: because"
    assert http.retryable(caught.value) is (kind is not Rejected)


async def test_retry_after_is_honoured():
    with pytest.raises(RetryAfter) as caught:
        await call(answer(429, **{"retry-after": "17"}))
    assert caught.value.retry_after_seconds == 17


@pytest.mark.parametrize("error", [NotConnected(), OutcomeUnknown()])
def test_lost_connections_may_be_tried_again(error):
    assert http.retryable(error)


def test_foreign_errors_are_not_tried_again():
    assert not http.retryable(ValueError("x"))


async def test_redirects_can_be_refused():
    assert (await call(follow_redirects=False))[1].redirects_max == 0


@pytest.mark.parametrize(
    "config",
    [
        {"url": "ftp://x/"},
        {"url": "/relative"},
        {"url": "http://"},
        {"json": 1, "body": "x"},
        {"expect": [99]},
        {"expect": ["6xx"]},
        {"expect": "2xx"},
        {"method": "GET /"},
        {"timeout": 0},
        {"timeout": "1 fortnight"},
        {"auth": {"type": "basic", "secret": "s"}},
        {"auth": {"type": "header", "secret": "s"}},
        {"auth": {"type": "magic", "secret": "s"}},
        {"reply_bytes_max": 0},
        {"jsno": {}},
    ],
)
def test_configurations_that_are_refused(config):
    with pytest.raises(ValidationError):
        http.Config.model_validate({"url": URL, **config})


async def test_an_attachment_is_sent_as_the_body():
    outbound = FakeOutbound([answer()])
    context = FakeJobContext(resources=FakeResources(outbound))
    stored = StoredAttachment(event_id="e", number=0, name="a", content_type="Application/PDF", size=4, sha256="0")
    context.resources.attachments.known["e/0"] = (stored, b"%PDF")
    await http.run(http.Config.model_validate({"url": URL, "method": "PUT", "attachment": "e/0"}), context)
    (request,) = outbound.requests
    assert (request.body, request.headers["Content-Type"]) == (b"%PDF", "application/pdf")
    with pytest.raises(ValidationError, match="write one of `json`, `body` and `attachment`"):
        await call(body="a", attachment="e/0")

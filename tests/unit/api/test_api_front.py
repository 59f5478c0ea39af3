"""What the front does to every request and answer."""

from __future__ import annotations

import pytest

from workflow_scheduler.api import problems
from workflow_scheduler.core.errors import (
    FieldError,
    MethodNotAllowed,
    NotFound,
    SignatureInvalid,
    StoreUnavailable,
    ValidationFailed,
)


async def test_the_local_tenant_is_served_without_credentials(client):
    reply = await client.get("/api/v1/probe")
    assert reply.status == 200
    assert reply.json() == {"tenant": "local", "limit": 5}


async def test_every_answer_carries_the_security_headers(client):
    for reply in (
        await client.get("/api/v1/probe"),
        await client.get("/api/v1/probe/missing"),
        await client.get("/nowhere"),
    ):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert reply.headers["cache-control"] == "no-store"


async def test_an_error_of_ours_becomes_a_problem_document(client):
    reply = await client.get("/api/v1/probe/missing")
    assert reply.status == 404
    assert reply.json() == {
        "type": "/problems/not_found",
        "title": "There is no such thing.",
        "status": 404,
        "detail": "there is no probe",
        "code": "not_found",
        "fix": "list the probes",
        "errors": [],
    }


async def test_an_unknown_path_and_a_wrong_method_are_problem_documents(client):
    reply = await client.get("/api/v1/nothing")
    assert (reply.status, reply.json()["code"]) == (404, "not_found")
    reply = await client.delete("/api/v1/probe")
    assert (reply.status, reply.json()["code"]) == (405, "method_not_allowed")
    assert {name.strip() for name in reply.headers["allow"].split(",")} >= {"GET"} or "POST" in reply.headers["allow"]


async def test_validation_names_the_fields(client):
    reply = await client.post("/api/v1/probe/model", json={"count": "many"})
    assert reply.status == 422
    assert [line["field"] for line in reply.json()["errors"]] == ["name", "count"]
    reply = await client.get("/api/v1/probe?limit=many")
    assert [line["field"] for line in reply.json()["errors"]] == ["limit"]


async def test_a_body_that_is_no_object_is_refused_by_the_dependency(client):
    reply = await client.post("/api/v1/probe", json=[1])
    assert (reply.status, reply.json()["code"]) == (400, "bad_request")


async def test_an_empty_body_is_an_empty_object(client):
    assert (await client.post("/api/v1/probe")).json()["got"] == {}


async def test_health_needs_no_credentials_but_private_paths_do(client, owned, context):
    await context.authenticator.start()
    assert (await client.get("/api/v1/probe")).status == 401
    assert (await client.get("/nowhere")).status == 404


async def test_head_of_an_unknown_path_is_refused_like_any_other(client):
    assert (await client.request("HEAD", "/api/v1/nothing")).status == 404


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (MethodNotAllowed(allow=["GET", "PUT"]), b"allow", b"GET, PUT"),
        (SignatureInvalid(), b"www-authenticate", b'Bearer realm="workflow_scheduler"'),
        (StoreUnavailable(), b"retry-after", b"1"),
        (StoreUnavailable(retry_after_seconds=2.2), b"retry-after", b"3"),
    ],
)
def test_headers_that_belong_to_an_error(error, name, value):
    assert (name, value) in problems.headers(error)


def test_errors_keep_line_column_and_suggestion():
    error = ValidationFailed("x", errors=[FieldError("a.b", "unknown", line=3, column=5, suggestion="c")])
    _, _, body = problems.render(error)
    assert b'"errors":[{"field":"a.b","message":"unknown","line":3,"column":5,"suggestion":"c"}]' in body


def test_every_kind_of_error_has_a_page():
    kinds = problems.kinds()
    assert kinds["not_found"] is NotFound
    assert "signature_invalid" in kinds
    assert len({kind.code for kind in kinds.values()}) == len(kinds)

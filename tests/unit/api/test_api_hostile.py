"""Whatever is sent, the answer is a clear 4xx problem document and never a 5xx."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

JSON = {"content-type": "application/json"}
EVENT = {"content-type": "application/cloudevents+json"}
HOSTILE = {
    "empty": b"",
    "truncated": b'{"a":',
    "nan": b'{"a": NaN}',
    "infinity": b"[Infinity]",
    "bad utf-8": b'{"a": "\xff\xfe"}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "deep arrays": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep but decodable": b"[" * 300 + b"]" * 300,
    "huge integer": b'{"a": ' + b"9" * 5_000 + b"}",
    "huge exponent": b'{"a": 1e99999}',
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "trailing comma": b'{"a": 1,}',
    "comment": b'{"a": 1} // no',
    "single quotes": b"{'a': 1}",
    "raw control character": b'{"a": "\x01"}',
    "two documents": b"{}{}",
}


def assert_problem(reply, *statuses):
    assert reply.status in statuses, (reply.status, reply.body[:200])
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == reply.status
    assert problem["code"]
    assert problem["detail"]
    assert isinstance(problem["errors"], list)
    assert "Traceback" not in reply.text


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "empty"])
async def test_a_hostile_body_is_refused_before_a_resource_sees_it(client, name):
    assert_problem(await client.post("/api/v1/probe", body=HOSTILE[name], headers=JSON), 400)
    assert_problem(await client.post("/api/v1/probe/model", body=HOSTILE[name], headers=JSON), 400)


@pytest.mark.parametrize("name", list(HOSTILE))
async def test_a_hostile_body_is_no_cloudevent(client, context, name):
    assert_problem(await client.post("/api/v1/events", body=HOSTILE[name], headers=EVENT), 400, 422)
    assert context.inbox.events == []


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "empty"])
async def test_a_hostile_body_is_no_data_of_a_binary_event(client, context, name):
    headers = {
        "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t", "content-type": "application/json"
    }  # fmt: skip
    assert_problem(await client.post("/api/v1/events", body=HOSTILE[name], headers=headers), 400)
    assert context.inbox.events == []


async def test_an_empty_body_of_a_model_is_a_validation_problem(client):
    assert_problem(await client.post("/api/v1/probe/model", headers=JSON), 422)


async def test_nul_characters_are_refused_in_bodies_paths_and_queries(client):
    assert_problem(await client.post("/api/v1/probe", json={"a": {"b": ["x\x00"]}}), 400)
    assert_problem(await client.post("/api/v1/probe", json={"a\x00": 1}), 400)
    assert_problem(await client.get("/api/v1/probe/%00"), 404)
    assert_problem(await client.get("/api/v1/probe?limit=%00"), 400)
    assert_problem(await client.get("/api/v1/probe?limit=%ff"), 400)
    assert_problem(await client.post("/webhooks/webhook/a%00b"), 404)


async def test_a_million_keys_end_at_the_size_limit(client):
    body = json.dumps({str(number): 1 for number in range(100_000)}).encode()
    assert_problem(await client.post("/api/v1/probe", body=body, headers=JSON), 413)


@pytest.mark.parametrize("path", ["/api/v1/probe", "/api/v1/events", "/webhooks/webhook/x", "/api/v1/public/webhook/x"])
async def test_a_body_beyond_the_limit_is_refused(client, path):
    assert_problem(await client.post(path, body=b" " * 65_537, headers=EVENT), 413)
    chunks = [b" " * 10_000] * 7
    assert_problem(await client.post(path, body=chunks, headers=EVENT), 413)


async def test_reading_stops_at_the_limit(app, client):
    """A body without a length is thrown away beyond the limit, not collected."""
    read = 0

    def endless():
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 65_536

    assert_problem(await client.post("/webhooks/webhook/x", body=endless(), headers=EVENT), 413)


async def test_a_declared_length_beyond_the_limit_needs_no_reading(client):
    headers = {**JSON, "content-length": "104857600"}
    assert_problem(await client.post("/api/v1/probe", headers=headers), 413)
    assert_problem(await client.post("/webhooks/webhook/x", headers=headers), 413)


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "²", "1, 2"])
async def test_a_length_that_is_no_number_is_refused(client, length):
    headers = {**JSON, "content-length": length.encode().decode("latin-1")}
    assert_problem(await client.post("/api/v1/probe", headers=headers), 400)


async def test_github_has_a_larger_limit_of_its_own(client):
    assert (await client.post("/api/v1/github/webhook", body=b"x" * 100_000)).status == 202
    assert_problem(await client.post("/api/v1/github/webhook", body=b"x" * 131_073), 413)


@pytest.mark.parametrize("path", ["/api/v1/probe", "/webhooks/webhook/x", "/api/v1/events"])
async def test_a_bomb_is_not_unpacked(client, path):
    bomb = gzip.compress(b" " * 20_000_000)
    assert len(bomb) < 65_536
    assert_problem(await client.post(path, body=bomb, headers={**JSON, "content-encoding": "gzip"}), 413)
    bomb = zlib.compress(b" " * 20_000_000)
    assert_problem(await client.post(path, body=bomb, headers={**JSON, "content-encoding": "deflate"}), 413)


@pytest.mark.parametrize("path", ["/api/v1/probe", "/webhooks/webhook/x"])
async def test_damaged_or_unknown_encodings_are_refused(client, path):
    packed = gzip.compress(b'{"a": 1}')
    for body in (packed[:-4], b"not gzip", packed + b"more", b""):
        assert_problem(await client.post(path, body=body, headers={**JSON, "content-encoding": "gzip"}), 400)
    assert_problem(await client.post(path, body=b"x", headers={**JSON, "content-encoding": "br"}), 415)
    assert_problem(await client.post(path, body=packed, headers={**JSON, "content-encoding": "gzip, gzip"}), 415)


async def test_a_packed_body_arrives_unpacked(client, context):
    packed = gzip.compress(b'{"a": 1}')
    reply = await client.post("/api/v1/probe", body=packed, headers={**JSON, "content-encoding": "gzip"})
    assert reply.json()["got"] == {"a": 1}
    await client.post("/webhooks/webhook/x", body=packed, headers={**JSON, "content-encoding": "gzip"})
    assert context.push.requests[-1][2].body == b'{"a": 1}'


async def test_big_integers_within_reason_pass(client):
    reply = await client.post("/api/v1/probe", json={"a": 2**63, "b": -(2**63)})
    assert reply.json()["got"] == {"a": 2**63, "b": -(2**63)}


async def test_faults_of_our_own_say_nothing_about_the_inside(client):
    for reply in (await client.get("/api/v1/probe/fault"), await client.post("/webhooks/webhook/broken")):
        assert reply.status == 500
        assert reply.headers["content-type"] == "application/problem+json"
        assert "secret inside" not in reply.text
        assert "fault of our own" not in reply.text


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "empty"])
async def test_a_hostile_body_without_a_media_type_is_no_json_either(client, name):
    assert_problem(await client.post("/api/v1/probe/model", body=HOSTILE[name]), 400, 422)


async def test_json_without_a_media_type_is_taken_as_json(client):
    reply = await client.post("/api/v1/probe/model", body=b'{"name": "a"}')
    assert reply.json() == {"name": "a", "count": 1}

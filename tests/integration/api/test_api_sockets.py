"""What only a real server shows: bodies of 100 MB, bodies without a length, slow clients, broken connections."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket

import pytest
import uvicorn

from workflow_scheduler.api.protocol import GatheringProtocol
from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings

MEGABYTE = b"x" * (1 << 20)
CHUNKED = b"transfer-encoding: chunked\r\n"
PATHS = ("/webhooks/webhook/nothing", "/api/v1/events", "/api/v1/workflows", "/api/v1/public/webhook/nothing")


@pytest.fixture
async def address(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path, body_timeout_seconds=0.3))
    await application.start()
    config = uvicorn.Config(
        application.asgi(), http=GatheringProtocol, log_level="error", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listener]))
    yield listener.getsockname()
    server.should_exit = True
    await task
    await application.stop()


@contextlib.asynccontextmanager
async def connection(address):
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def status(reader):
    line = await asyncio.wait_for(reader.readline(), 20)
    return int(line.split()[1])


def head(path, *lines):
    start = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n".encode()
    return start + b"".join(lines) + b"\r\n"


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_of_100_megabytes_is_refused_at_once_and_costs_no_memory(address, path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with connection(address) as (reader, writer):
        writer.write(head(path, b"content-length: 104857600\r\n"))
        assert await status(reader) == 413
        for _ in range(100):
            writer.write(MEGABYTE)
            await writer.drain()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_sends_first_and_reads_later_gets_the_answer(address, path):
    async with connection(address) as (reader, writer):
        writer.write(head(path, b"content-length: 20971520\r\n"))
        for _ in range(20):
            writer.write(MEGABYTE)
            await writer.drain()
        assert await status(reader) == 413


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_without_a_length_is_refused_when_it_passes_the_limit(address, path):
    async with connection(address) as (reader, writer):
        writer.write(head(path, CHUNKED))
        for _ in range(30):
            writer.write(b"100000\r\n" + MEGABYTE + b"\r\n")
            await writer.drain()
        assert await status(reader) == 413


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_stops_in_the_middle_is_told_and_cut_off(address, path):
    async with connection(address) as (reader, writer):
        writer.write(head(path, b"content-length: 100\r\n") + b'{"a":')
        assert await status(reader) == 408
        await asyncio.wait_for(reader.read(), 20)


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_sends_no_byte_of_its_body_is_told(address, path):
    async with connection(address) as (reader, writer):
        writer.write(head(path, b"content-length: 100\r\n"))
        assert await status(reader) == 408


async def test_a_client_that_goes_away_harms_nobody(address):
    for path in PATHS:
        async with connection(address) as (_, writer):
            writer.write(head(path, b"content-length: 100\r\n") + b"{")
    async with connection(address) as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert await status(reader) == 200


async def test_broken_http_is_refused_by_the_server(address):
    for request in (b"NONSENSE\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"\x00\x01\x02\r\n\r\n"):
        async with connection(address) as (reader, writer):
            writer.write(request)
            line = await asyncio.wait_for(reader.readline(), 20)
            assert b" 400 " in line


async def test_the_stream_sends_what_happens_and_goes_on_after_the_last_id(address):
    event = b'{"specversion":"1.0","id":"%d","source":"/s","type":"t"}'
    async with connection(address) as (reader, writer):
        writer.write(b"GET /api/v1/stream?topics=events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b": connected"), 20)
        await send_event(address, event % 1)
        text = await asyncio.wait_for(reader.readuntil(b"event.accepted"), 20)
    last = text.split(b"id: ")[1].split(b"\n")[0]
    await send_event(address, event % 2)
    async with connection(address) as (reader, writer):
        writer.write(b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\nlast-event-id: " + last + b"\r\n\r\n")
        text = await asyncio.wait_for(reader.readuntil(b"event.accepted"), 20)
        assert b"id: %d\n" % (int(last) + 1) in text
    async with connection(address) as (reader, writer):
        writer.write(b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\nlast-event-id: nonsense\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"event: reset"), 20)


async def send_event(address, body):
    async with connection(address) as (reader, writer):
        lines = b"POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\n"
        writer.write(lines + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert await status(reader) == 202

"""Trying a connection: really connect, log in, and say what answered."""

from __future__ import annotations

import asyncio
from functools import partial
from socket import socket

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.http_auth import headers_of
from workflow_scheduler.core.model.connection import Connection, Fields, Http, Redis, Slack, Smtp, Sql
from workflow_scheduler.core.ports.resources import HttpRequest, Resources
from workflow_scheduler.jobs.smtp import Mailer
from workflow_scheduler.outbound.databases import Database, Target
from workflow_scheduler.outbound.slack_api import SlackApi

TIMEOUT_SECONDS = 15.0
_REFUSED = frozenset({401, 403})


async def probe(tenant_id: str, connection: Connection, resources: Resources, now: int) -> str:
    """Connect, and return what was found in one sentence; `now` is in microseconds.

    Raises:
        SchedulerError: it does not work; the text says why.

    """
    fields: Fields = connection.fields
    if isinstance(fields, Smtp):
        mailer = Mailer(fields, resources.dialer, TIMEOUT_SECONDS)
        return await resources.workers.call(mailer.greet)
    if isinstance(fields, Sql):
        local = await resources.code_rule.code_allowed(tenant_id)
        return await _database(Target(fields.url, fields.password, local), resources)
    if isinstance(fields, Slack):
        answer = await SlackApi(resources.outbound, fields, f"test:{connection.name}", now).get("auth.test", {})
        return f"the workspace {answer.get('team')} answers; the bot is {answer.get('user')}"
    if isinstance(fields, Redis):
        return await _redis(fields, resources)
    assert isinstance(fields, Http)
    return await _web(fields, resources, now)


async def _database(target: Target, resources: Resources) -> str:
    work = await resources.workers.call(partial(Database, target, resources.dialer, TIMEOUT_SECONDS))
    task = asyncio.ensure_future(resources.workers.call(work.version))
    done, _ = await asyncio.wait({task}, timeout=TIMEOUT_SECONDS)
    if not done:
        await asyncio.to_thread(work.stop)
        raise Rejected(f"the database did not answer within {TIMEOUT_SECONDS:g} s")
    return task.result()


async def _redis(fields: Redis, resources: Resources) -> str:
    try:
        from workflow_scheduler.outbound.redis_server import own_errors, redis_client, server_version
    except ImportError:
        raise Rejected(
            "connections of kind `redis` need the extra `redis`", fix="pip install 'workflow-scheduler[redis]'"
        ) from None

    async def dial(host: str, port: int) -> socket:
        return await resources.workers.call(partial(resources.dialer.dial, host, port, TIMEOUT_SECONDS))

    client = redis_client(fields, dial)
    try:
        with own_errors(fields.url):
            return await server_version(client)
    finally:
        await client.aclose()


async def _web(fields: Http, resources: Resources, now: int) -> str:
    if fields.url is None:
        return "the secret is there; give the connection a `url`, and the test asks it"
    headers = headers_of(fields, fields.url, b"", now)
    request = HttpRequest(method="GET", url=fields.url, headers=headers, timeout_seconds=TIMEOUT_SECONDS)
    reply = await resources.outbound.send(request)
    if reply.status in _REFUSED:
        raise Rejected(f"{fields.url} answered {reply.status}: the credentials are not accepted")
    return f"{fields.url} answered {reply.status}"

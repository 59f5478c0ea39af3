"""Trying a connection: really connect, log in, and say what answered."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from socket import socket
from types import MappingProxyType
from typing import Any, Final

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.http_auth import headers_of
from workflow_scheduler.core.model.brokers import Amqp, Kafka, Mqtt, Nats, Redis
from workflow_scheduler.core.model.connection import Aws, Connection, Google, Http, Imap, Slack, Smtp, Sql
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.ports.resources import HttpRequest, Resources
from workflow_scheduler.jobs.smtp import Mailer
from workflow_scheduler.outbound import aws, google
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
    if isinstance(fields, Slack):
        answer = await SlackApi(resources.outbound, fields, f"test:{connection.name}", now).get("auth.test", {})
        return f"the workspace {answer.get('team')} answers; the bot is {answer.get('user')}"
    if isinstance(fields, Aws):
        return f"the keys belong to {await aws.caller(resources.outbound.send, fields, now)}"
    if isinstance(fields, Google):
        client = google.Client(resources.outbound.send, fields, google.IDENTITY, {}, lambda: now)
        return f"the credentials are good until {await client.until()}"
    if isinstance(fields, Http):
        return await _web(fields, resources, now)
    if isinstance(fields, Sql):
        local = await resources.code_rule.code_allowed(tenant_id)
        return await _database(Target(fields.url, fields.password, local), resources)
    return await _SERVERS[type(fields)](fields, resources)


async def _smtp(fields: Smtp, resources: Resources) -> str:
    return await resources.workers.call(Mailer(fields, resources.dialer, TIMEOUT_SECONDS).greet)


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
        raise _missing("redis", "redis") from None

    async def dial(host: str, port: int) -> socket:
        return await resources.workers.call(partial(resources.dialer.dial, host, port, TIMEOUT_SECONDS))

    client = redis_client(fields, dial)
    try:
        with own_errors(fields.url):
            return await server_version(client)
    finally:
        await client.aclose()


async def _imap(fields: Imap, resources: Resources) -> str:
    try:
        from workflow_scheduler.outbound.imap_mailbox import Mailbox
    except ImportError:
        raise _missing("imap", "email") from None
    box = Mailbox(fields, resources.dialer)
    try:
        await resources.workers.call(box.open)
        return f"{fields.host}:{fields.port} answers, logged in as {fields.username}; INBOX is open"
    finally:
        box.close()


async def _kafka(fields: Kafka, resources: Resources) -> str:
    try:
        from workflow_scheduler.outbound.kafka_consumer import count_brokers, hosts_of
    except ImportError:
        raise _missing("kafka", "kafka") from None
    await _reach(hosts_of(fields.bootstrap_servers), resources)
    count = await resources.workers.call(partial(count_brokers, fields))
    return f"{fields.bootstrap_servers} answers; the cluster has {count} brokers"


async def _nats(fields: Nats, resources: Resources) -> str:
    try:
        from workflow_scheduler.outbound.nats_server import connect, hosts_of, own_errors
    except ImportError:
        raise _missing("nats", "nats") from None
    await _reach(hosts_of(fields.servers), resources)
    with own_errors(fields.servers):
        client = await connect(fields)
        try:
            return f"{fields.servers} answers; it is NATS {_number(client.connected_server_version)}"
        finally:
            await client.close()


async def _mqtt(fields: Mqtt, resources: Resources) -> str:
    try:
        from workflow_scheduler.outbound.mqtt_broker import session
    except ImportError:
        raise _missing("mqtt", "mqtt") from None
    await _reach([(fields.host, fields.port)], resources)
    async with session(fields, f"wfs-probe-{secrets.token_hex(4)}", kept=False):
        return f"{fields.host}:{fields.port} answers, logged in as {fields.username or 'anybody'}"


async def _amqp(fields: Amqp, resources: Resources) -> str:
    try:
        from workflow_scheduler.outbound.amqp_broker import connected, server_name
    except ImportError:
        raise _missing("amqp", "amqp") from None
    await _reach([(fields.host, fields.port)], resources)
    async with connected(fields) as connection:
        return f"{fields.host}:{fields.port} answers; it is {server_name(connection)}, logged in as {fields.username}"


def _number(version: object) -> str:
    """Return the number in what the library calls `<nats server v2.10.1>`."""
    return str(version).strip("<>").rpartition(" v")[2]


async def _reach(hosts: Iterable[tuple[str, int]], resources: Resources) -> None:
    """Connect through the egress guard once, for clients that connect by themselves."""
    for host, port in hosts:
        (await resources.workers.call(partial(resources.dialer.dial, host, port, TIMEOUT_SECONDS))).close()


def _missing(kind: str, extra: str) -> Rejected:
    return Rejected(
        f"connections of kind `{kind}` need the extra `{extra}`", fix=f"pip install 'workflow-scheduler[{extra}]'"
    )


async def _web(fields: Http, resources: Resources, now: int) -> str:
    if fields.url is None:
        return "the secret is there; give the connection a `url`, and the test asks it"
    headers = headers_of(fields, fields.url, b"", now)
    request = HttpRequest(method="GET", url=fields.url, headers=headers, timeout_seconds=TIMEOUT_SECONDS)
    reply = await resources.outbound.send(request)
    if reply.status in _REFUSED:
        raise Rejected(f"{fields.url} answered {reply.status}: the credentials are not accepted")
    return f"{fields.url} answered {reply.status}"


_SERVERS: Final[Mapping[type[Fields], Callable[[Any, Resources], Awaitable[str]]]] = MappingProxyType(
    {Smtp: _smtp, Redis: _redis, Imap: _imap, Kafka: _kafka, Nats: _nats, Mqtt: _mqtt, Amqp: _amqp}
)

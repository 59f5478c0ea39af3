"""`sql` jobs on SQLite, and on the real PostgreSQL behind its socket and over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import Forbidden, NotConnected, Rejected, Unavailable
from workflow_scheduler.core.model.connection import Sql
from workflow_scheduler.jobs import sql
from workflow_scheduler.outbound.dialer import GuardedDialer
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.testing.job_context import FakeJobContext, FakeResources

BOTH = pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
SLOW_SQLITE = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def url(request, tmp_path):
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture
def contexts():
    made = []

    def make(url, *, allow=("127.0.0.1",), password=None, secrets=None, attempt=1):
        dialer = GuardedDialer(EgressGuard(allow))
        connections = {"db": ("sql", Sql(url=url, password=password))} if url else {}
        context = FakeJobContext(resources=FakeResources(dialer=dialer, connections=connections), secrets=secrets)
        context.attempt = attempt
        made.append(context)
        return context

    yield make
    for context in made:
        context.resources.close()


async def run(context, statement=None, **config):
    given = {"statement": statement} if statement else {}
    where = {} if "secret" in config else {"connection": "db"}
    return await sql.run(sql.Config.model_validate({**where, **given, **config}), context)


@BOTH
async def test_values_are_bound_and_never_become_sql(contexts, url):
    context = contexts(url)
    await run(context, "CREATE TABLE users (id INTEGER, name TEXT)")
    evil = "x'); DROP TABLE users; --"
    made = await run(context, "INSERT INTO users VALUES (:id, :name)", params={"id": 1, "name": evil})
    assert made == {"rowcount": 1}
    found = await run(context, "SELECT id, name FROM users WHERE name = :name", params={"name": evil})
    assert found == {"rowcount": 1, "columns": ["id", "name"], "rows": [{"id": 1, "name": evil}], "truncated": False}


@BOTH
async def test_several_statements_are_one_transaction(contexts, url):
    context = contexts(url)
    await run(context, "CREATE TABLE t (n INTEGER PRIMARY KEY)")
    output = await run(
        context, statements=["INSERT INTO t VALUES (:n)", "UPDATE t SET n = n + 1", "SELECT n FROM t"], params={"n": 1}
    )
    assert output["rows"] == [{"n": 2}]
    assert [one["rowcount"] for one in output["results"]] == [1, 1, 1]
    with pytest.raises(Rejected, match="statement 2 failed") as caught:
        await run(context, statements=["INSERT INTO t VALUES (7)", "INSERT INTO t VALUES (:n)"], params={"n": 2})
    assert not sql.retryable(caught.value)
    assert (await run(context, "SELECT n FROM t"))["rows"] == [{"n": 2}], "the first statement was rolled back"


@BOTH
async def test_a_list_of_parameters_is_a_bulk_of_rows(contexts, url):
    context = contexts(url)
    await run(context, "CREATE TABLE t (n INTEGER)")
    await run(context, "INSERT INTO t VALUES (:n)", params=[{"n": n} for n in range(50)])
    assert (await run(context, "SELECT count(*) AS many FROM t"))["rows"] == [{"many": 50}]


@BOTH
async def test_rows_and_bytes_are_bounded(contexts, url):
    context = contexts(url)
    await run(context, "CREATE TABLE t (n INTEGER)")
    await run(context, "INSERT INTO t VALUES (:n)", params=[{"n": n} for n in range(500)])
    few = await run(context, "SELECT n FROM t ORDER BY n", rows_max=3)
    assert (few["rowcount"], few["truncated"]) == (3, True)
    exact = await run(context, "SELECT n FROM t ORDER BY n", rows_max=500)
    assert (exact["rowcount"], exact["truncated"]) == (500, False)
    small = await run(context, "SELECT n FROM t ORDER BY n", bytes_max=100)
    assert small["truncated"]
    assert 0 < small["rowcount"] < 20


@BOTH
async def test_a_missing_parameter_is_named(contexts, url):
    with pytest.raises(Rejected, match="`:wanted` has no value"):
        await run(contexts(url), "SELECT :wanted AS x", params={"wnted": 1})


@BOTH
async def test_a_mistake_in_sql_is_told_and_not_tried_again(contexts, url):
    with pytest.raises(Rejected, match=r"the statement failed: .*nowhere") as caught:
        await run(contexts(url), "SELECT * FROM nowhere")
    assert not sql.retryable(caught.value)


async def test_values_of_postgresql_as_json(contexts, postgres_url):
    statement = (
        "SELECT 1.10::numeric AS money, DATE '2027-03-14' AS day, TIMESTAMPTZ '2027-03-14 09:30:00+01' AS at,"
        " '\\xff00'::bytea AS raw, ARRAY[1,2] AS many, '{\"a\": 1}'::jsonb AS doc, NULL AS nothing,"
        " INTERVAL '90 seconds' AS span, 'NaN'::float8 AS nan, 9223372036854775808::numeric AS big, 1 AS day"
    )
    row = (await run(contexts(postgres_url), statement))["rows"][0]
    assert row["at"].startswith("2027-03-14T")
    assert {key: value for key, value in row.items() if key != "at"} == {
        "money": "1.10", "day": "2027-03-14", "raw": "/wA=", "many": [1, 2], "doc": {"a": 1}, "nothing": None,
        "span": 90.0, "nan": "nan", "big": "9223372036854775808", "day_2": 1,
    }  # fmt: skip


async def sleepers(url):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
    finally:
        await connection.close()


async def until(ask, wanted):
    async with asyncio.timeout(30):
        while await ask() != wanted:
            pass


async def test_a_timeout_cancels_the_statement_in_postgresql(contexts, postgres_url):
    with pytest.raises(Unavailable, match=r"longer than their timeout of 0\.5 s and were cancelled"):
        await run(contexts(postgres_url), "SELECT pg_sleep(600)", timeout="500ms")
    await until(lambda: sleepers(postgres_url), 0)


@pytest.mark.parametrize("way", ["socket", "tcp"])
async def test_cancelling_the_job_cancels_the_statement_in_postgresql(contexts, postgres_url, way):
    with forwarded(postgres_url) as tcp_url:
        task = asyncio.ensure_future(run(contexts(tcp_url if way == "tcp" else postgres_url), "SELECT pg_sleep(600)"))
        await until(lambda: sleepers(postgres_url), 1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await until(lambda: sleepers(postgres_url), 0)


async def test_a_timeout_interrupts_sqlite(contexts, tmp_path):
    with pytest.raises(Unavailable, match="were cancelled"):
        await run(contexts(f"sqlite:///{tmp_path / 'x.db'}"), SLOW_SQLITE, timeout="300ms")


async def test_locks_and_serialisation_failures_may_be_tried_again(contexts, postgres_url):
    context = contexts(postgres_url)
    await run(context, "CREATE TABLE t (n INTEGER)")
    holder = await asyncpg.connect(postgres_url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(Unavailable, match="55P03") as caught:
                await run(context, statements=["SET LOCAL lock_timeout = '50ms'", "SELECT n FROM t"])
    finally:
        await holder.close()
    assert sql.retryable(caught.value)


async def test_a_lost_connection_may_be_tried_again(contexts, postgres_url):
    task = asyncio.ensure_future(run(contexts(postgres_url), "SELECT pg_sleep(600)"))
    await until(lambda: sleepers(postgres_url), 1)
    killer = await asyncpg.connect(postgres_url)
    await killer.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    await killer.close()
    with pytest.raises((Unavailable, NotConnected)) as caught:
        await task
    assert sql.retryable(caught.value)


@contextlib.contextmanager
def forwarded(url):
    """Give the URL of a TCP port that leads to the server behind the socket."""
    parts = urlsplit(url)
    path = parse_qs(parts.query)["host"][0] + f"/.s.PGSQL.{parts.port or 5432}"
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(path)
                pairs = ((client, server), (server, client))
                threads = [threading.Thread(target=pump, args=pair, daemon=True) for pair in pairs]
                for thread in threads:
                    thread.start()
                opened.extend((client, server))

    opened = []
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"postgresql://{parts.username}@127.0.0.1:{listener.getsockname()[1]}{parts.path}?sslmode=disable"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in opened:
            one.close()


async def test_connections_go_through_the_egress_guard(contexts, postgres_url):
    with forwarded(postgres_url) as url:
        assert (await run(contexts(url), "SELECT 1 AS one"))["rows"] == [{"one": 1}]
        with pytest.raises(Forbidden, match="address is not public"):
            await run(contexts(url, allow=()), "SELECT 1")


@pytest.mark.parametrize(
    "given",
    ["sqlite://", "sqlite:////etc/x.db", "postgresql:///d?host=/tmp", "mysql+pymysql://h/d?read_default_file=/x"],
)
async def test_files_and_sockets_of_this_machine_need_the_allowance_for_code(contexts, given):
    context = contexts(given)
    context.resources.code_rule.allowed = False
    with pytest.raises(Forbidden, match="not allowed for this tenant"):
        await run(context, "SELECT 1")


async def test_the_url_may_stand_in_a_secret(contexts):
    context = contexts(None, secrets={"shop": "sqlite://"})
    assert (await run(context, "SELECT 1 AS one", secret="shop"))["rows"] == [{"one": 1}]
    with pytest.raises(Rejected, match="no secret `other`"):
        await run(context, "SELECT 1", secret="other")
    with pytest.raises(Rejected, match="no connection `db`"):
        await run(context, "SELECT 1")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("postgresql+asyncpg://h/d", "not installed|event loops"),
        ("nosuch://h/d", "no dialect `nosuch`"),
        ("mysql+pymysql://h/d", "driver `pymysql` is not installed"),
    ],
)
async def test_a_dialect_or_driver_that_cannot_be_used_is_named(contexts, given, words):
    with pytest.raises(Rejected, match=words):
        await run(contexts(given), "SELECT 1")


async def test_a_missing_extra_is_one_sentence_with_the_command(contexts, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sqlalchemy", None)
    with pytest.raises(Rejected, match="need the extra `sql`") as caught:
        await run(contexts("sqlite://"), "SELECT 1")
    assert "pip install 'workflow-scheduler[sql]'" in caught.value.fix


async def test_a_password_never_reaches_an_error(contexts, postgres_url):
    with forwarded(postgres_url) as url:
        wrong = url.replace("?", "x?")
        with pytest.raises((Rejected, Unavailable)) as caught:
            await run(contexts(wrong, password="s3cret-of-ann"), "SELECT 1")
    assert "s3cret" not in f"{caught.value.detail}{caught.value.fix}"


@pytest.mark.parametrize(
    "config",
    [
        {"statement": "SELECT ${input.id}"},
        {"statements": ["SELECT 1", "SELECT '${input.id}'"]},
        {"statement": "  "},
        {"statement": "SELECT 1", "statements": ["SELECT 1"]},
        {},
        {"statement": "SELECT 1", "rows_max": 0},
        {"statement": "SELECT 1", "timeout": 0},
        {"statement": "SELECT 1", "secret": "x"},
        {"statement": "SELECT 1", "parms": {}},
    ],
)
def test_configurations_that_are_refused(config):
    with pytest.raises(ValidationError):
        sql.Config.model_validate({"connection": "db", **config})

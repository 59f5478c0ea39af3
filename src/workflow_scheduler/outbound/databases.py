"""Users' databases through SQLAlchemy: blocking, for threads; every statement can be cancelled from another thread."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from workflow_scheduler.core.errors import Forbidden, NotConnected, Rejected
from workflow_scheduler.core.ports.resources import Dialer
from workflow_scheduler.outbound.database_errors import translated
from workflow_scheduler.outbound.database_values import named, plain

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine

FETCHED = 200
CANCEL_SECONDS = 10.0
_DEFAULT_DRIVERS = {"postgresql": "postgresql+pg8000", "postgres": "postgresql+pg8000"}
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
_HARMLESS_OPTIONS = frozenset({"sslmode", "ssl", "charset", "application_name"})
_CANCEL = {"postgresql": "SELECT pg_cancel_backend(:id)", "mysql": "KILL QUERY :id", "mariadb": "KILL QUERY :id"}
_WHO = {
    "postgresql": "SELECT pg_backend_pid()",
    "mysql": "SELECT CONNECTION_ID()",
    "mariadb": "SELECT CONNECTION_ID()",
}
_STREAMED = re.compile(r"^\s*select\b(?!.*\binto\b)", re.IGNORECASE | re.DOTALL)


class Bounds(msgspec.Struct, frozen=True):
    """How much of a result is taken, and how long each statement may take in the database."""

    rows_max: int
    bytes_max: int
    timeout_seconds: float


class Target(msgspec.Struct, frozen=True):
    """A database. `local_allowed`: files and sockets of this machine may be used."""

    url: str
    password: str | None
    local_allowed: bool


class Database:
    """One piece of work on one database. `stop` may be called from any thread, `run` from one."""

    def __init__(self, target: Target, dialer: Dialer, timeout_seconds: float) -> None:
        """Connect through `dialer` when asked to.

        Raises:
            Rejected: the URL, its dialect or its driver cannot be used.
            Forbidden: it leads to this machine, and that is not allowed.

        """
        self._timeout_seconds = timeout_seconds
        self._dialer = dialer
        self._url = _url(target)
        self._engine = _engine(self._url)
        self._connection: Any = None
        self._server_id: int | None = None
        self._socket: socket.socket | None = None
        self._stopped = False
        if self._url.host:
            self._guard_connections()

    @property
    def dialect(self) -> str:
        """The name of the dialect."""
        return str(self._engine.dialect.name)

    def stop(self) -> None:
        """Cancel what runs in the database; blocks for a moment."""
        self._stopped = True
        with contextlib.suppress(Exception):  # the work may have ended meanwhile
            if self.dialect == "sqlite" and self._connection is not None:
                self._connection.interrupt()
            elif self._server_id is not None and self.dialect in _CANCEL:
                self._cancel_on_server(self._server_id)
            elif self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def version(self) -> str:
        """Connect, and return what the database is.

        Raises:
            SchedulerError: it cannot be reached, or it refuses.

        """
        with self._open(autocommit=False) as connection:
            connection.exec_driver_sql("SELECT 1 FROM DUAL" if self.dialect == "oracle" else "SELECT 1")
            found = ".".join(map(str, self._engine.dialect.server_version_info or ()))
        return f"{self.dialect} {found} answers".replace("  ", " ")

    def run(
        self, statements: Sequence[str], params: Any, bounds: Bounds, *, autocommit: bool = False
    ) -> list[dict[str, Any]]:
        """Run the statements in one transaction and return the result of each.

        Raises:
            Rejected: the database refuses for good.
            Unavailable: it may take it later.

        """
        with self._open(autocommit=autocommit) as connection:
            results = []
            for number, statement in enumerate(statements, 1):
                self._check_stopped()
                with translated(f"statement {number}" if len(statements) > 1 else "the statement"):
                    results.append(self._one(connection, statement, params, bounds, stream=not autocommit))
            self._check_stopped()
            if not autocommit:
                with translated("the commit"):
                    connection.commit()
        return results

    def _one(
        self, connection: Connection, statement: str, params: Any, bounds: Bounds, *, stream: bool
    ) -> dict[str, Any]:
        from sqlalchemy import text

        clause = text(statement)
        wanted = set(clause.compile(dialect=self._engine.dialect).params)
        given = _bound(wanted, params)
        options = {"stream_results": stream and _STREAMED.match(statement) is not None and isinstance(given, dict)}
        result = connection.execute(clause, given, execution_options=options)
        return _result(result, bounds)

    @contextlib.contextmanager
    def _open(self, *, autocommit: bool) -> Iterator[Connection]:
        try:
            with translated("the connection"):
                connection = self._engine.connect()
        except BaseException:
            self._close_socket()
            raise
        try:
            with translated("the connection"):
                if autocommit:
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                self._connection = connection.connection.driver_connection
                self._server_id = _server_id(connection, self.dialect)
            self._check_stopped()
            yield connection
        finally:
            with contextlib.suppress(Exception):  # what went wrong before is what is told
                connection.close()
            with contextlib.suppress(Exception):
                self._engine.dispose()
            self._connection = None
            self._close_socket()

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _check_stopped(self) -> None:
        if self._stopped:
            raise NotConnected("the job was stopped")

    def _cancel_on_server(self, server_id: int) -> None:
        from sqlalchemy import text

        target = Target(self._url.render_as_string(hide_password=False), None, local_allowed=True)
        other = Database(target, self._dialer, CANCEL_SECONDS)
        with other._engine.connect() as connection:
            connection.execute(text(_CANCEL[self.dialect]), {"id": server_id})
        other._engine.dispose()

    def _guard_connections(self) -> None:
        """Let every connection go through the dialer: pinned to an allowed address where the driver takes a socket."""
        from sqlalchemy import event

        url, driver = self._url, self._engine.driver
        port = url.port or _PORTS.get(self.dialect)
        if port is None:
            raise Rejected(f"the URL of a {self.dialect} database must name the port")
        host = str(url.host)

        def connect(_dialect: Any, _record: Any, arguments: Any, keywords: dict[str, Any]) -> Any:
            connection = self._dialer.dial(host, port, self._timeout_seconds)
            if driver != "pg8000":
                connection.close()  # the address is allowed; this driver opens a socket of its own
                return None
            from pg8000.legacy import Connection as PgConnection

            self._socket = connection
            connection.settimeout(None)
            keywords.update(_encryption(str(url.query.get("sslmode", "prefer"))))
            keywords["startup_params"] = {"statement_timeout": str(round(self._timeout_seconds * 1000))}
            return PgConnection(*arguments, **keywords, sock=connection)

        event.listen(self._engine, "do_connect", connect)


def _url(target: Target) -> URL:
    """Return the URL with its driver and password.

    Raises:
        Rejected: it cannot be read, or the extra is missing.
        Forbidden: it leads to a file or a socket of this machine, or has options that could.

    """
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise Rejected(
            "`sql` jobs need the extra `sql`", fix="Install it: pip install 'workflow-scheduler[sql]'"
        ) from None
    try:
        url = make_url(target.url)
    except (ArgumentError, ValueError):
        raise Rejected(
            "the database's URL cannot be read", fix="Write it as postgresql://USER@HOST/DATABASE."
        ) from None
    if target.password is not None:
        url = url.set(password=target.password)
    url = url.set(drivername=_DEFAULT_DRIVERS.get(url.drivername, url.drivername))
    risky = sorted(set(url.query) - _HARMLESS_OPTIONS)
    if not target.local_allowed and (not url.host or risky):
        what = f"the option `{risky[0]}` of a database's URL" if url.host else "a database in a file or behind a socket"
        raise Forbidden(
            f"{what} is not allowed for this tenant: it can reach files of this machine",
            fix="Use a database with a host name, or allow code: WFS_ALLOW_CODE and `workflow-scheduler tenant set`.",
        )
    return _socketed(url)


def _socketed(url: URL) -> URL:
    """Return the URL of a PostgreSQL behind a socket in the form that pg8000 understands."""
    folder = url.query.get("host")
    if url.drivername != "postgresql+pg8000" or not isinstance(folder, str) or not folder.startswith("/"):
        return url
    path = f"{folder}/.s.PGSQL.{url.port or 5432}"
    return url.set(host=None, port=None).difference_update_query(["host"]).update_query_dict({"unix_sock": path})


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    shown = url.drivername
    if url.drivername == "postgresql+pg8000":
        url = url.difference_update_query(["sslmode", "ssl"])
    try:
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    except NoSuchModuleError:
        raise Rejected(
            f"SQLAlchemy knows no dialect `{shown}`", fix="Write it as postgresql://… or mysql+pymysql://…"
        ) from None
    except ImportError as error:
        module = error.name or shown
        raise Rejected(f"the driver `{module}` is not installed", fix=f"Install it: pip install {module}") from None
    if engine.dialect.is_async:
        raise Rejected(
            f"`{shown}` is a driver for event loops, and statements run in threads",
            fix="Name a blocking driver, for example postgresql+pg8000.",
        )
    return engine


def _encryption(mode: str) -> dict[str, Any]:
    """Return pg8000's argument for a libpq `sslmode`; `prefer` is what pg8000 does by itself."""
    if mode == "disable":
        return {"ssl_context": False}
    if mode == "require":
        return {"ssl_context": True}
    return {"ssl_context": ssl.create_default_context()} if mode.startswith("verify") else {}


def _server_id(connection: Connection, dialect: str) -> int | None:
    return int(connection.exec_driver_sql(_WHO[dialect]).scalar_one()) if dialect in _WHO else None


def _bound(wanted: set[str], params: Any) -> Any:
    """Return the parameters of one statement.

    Raises:
        Rejected: one is missing; its name is told.

    """
    for one in params if isinstance(params, list) else [params]:
        missing = sorted(wanted - set(one))
        if missing:
            raise Rejected(
                f"the parameter `:{missing[0]}` has no value", fix=f"Give it in `params`: {{{missing[0]}: …}}."
            )
    if not isinstance(params, list):
        return {key: _given(value) for key, value in params.items() if key in wanted}
    return [{key: _given(value) for key, value in one.items() if key in wanted} for one in params]


def _given(value: Any) -> Any:
    """Return a value as a driver takes it: lists and objects as JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


def _result(result: CursorResult[Any], bounds: Bounds) -> dict[str, Any]:
    if not result.returns_rows:
        return {"rowcount": max(result.rowcount, 0)}
    columns = named([str(key) for key in result.keys()])  # noqa: SIM118 - a method of SQLAlchemy's result
    rows: list[Mapping[str, Any]] = []
    size, truncated = 0, False
    while not truncated and (part := result.fetchmany(min(FETCHED, bounds.rows_max + 1))):
        for values in part:
            row = {column: plain(value) for column, value in zip(columns, values, strict=True)}
            size += len(msgspec.json.encode(row))
            if len(rows) >= bounds.rows_max or size > bounds.bytes_max:
                truncated = True
                break
            rows.append(row)
    result.close()
    return {"rowcount": len(rows), "columns": columns, "rows": rows, "truncated": truncated}

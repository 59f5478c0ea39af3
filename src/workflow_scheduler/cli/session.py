"""What a command knows about how it was called: the service's address, the key and the form of its output."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

import typer

from workflow_scheduler.cli import credentials
from workflow_scheduler.client.http import Client

SERVER = "http://127.0.0.1:8003"
PAGE_MAX = 500
Form = Literal["text", "json", "jsonl"]


class Session:
    """The options that every command has."""

    def __init__(self, server: str | None = None, key: str | None = None, form: Form = "text") -> None:
        """Keep the options; what `login` has kept is read, and the service called, when a command asks for it."""
        self._server = server
        self._key = key
        self.form = form

    @cached_property
    def _kept(self) -> credentials.Credentials:
        return credentials.load()

    @property
    def server(self) -> str:
        """The address of the service: the one that was named, else that of the last `login`, else the default."""
        return self._server or self._kept.server or SERVER

    @property
    def key(self) -> str | None:
        """The API key: of WFS_API_KEY, else the one that `login` has kept for the address."""
        return self._key or self._kept.keys.get(self.server)

    @cached_property
    def client(self) -> Client:
        """The client of the service."""
        return Client(self.server, self.key)

    @property
    def machine(self) -> bool:
        """Whether a program reads the output."""
        return self.form != "text"

    def collect(self, path: str, limit: int, cursor: str | None = None, **query: Any) -> dict[str, Any]:
        """Return up to `limit` items of a list with the cursor of the rest; short pages are followed.

        Raises:
            SchedulerError: the service refused or did not answer.

        """
        items: list[Any] = []
        following = cursor
        while True:
            page = self.client.get(path, limit=min(PAGE_MAX, limit - len(items)), cursor=following, **query)
            items += page["items"]
            following = page.get("next")
            if following is None or len(items) >= limit:
                return {"items": items, "next": following}

    def every(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield all items of a list.

        Raises:
            SchedulerError: the service refused or did not answer.

        """
        cursor: str | None = None
        while True:
            page = self.client.get(path, limit=PAGE_MAX, cursor=cursor, **query)
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None:
                return


def session_of(context: typer.Context) -> Session:
    """Return the session of a command."""
    found = context.find_object(Session)
    return found if found is not None else Session()

"""GitHub's REST API, as triggers use it: with the token of a connection, page by page."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.core.inbound.answers import check_answer
from workflow_scheduler.core.inbound.pages import next_link
from workflow_scheduler.core.model.connection import Http
from workflow_scheduler.core.ports.resources import HttpRequest
from workflow_scheduler.core.ports.sources import SourceIO

API: Final = "https://api.github.com"
REPLY_BYTES_MAX: Final = 30 << 20  # a payload has at most 25 MB
PAGES_MAX: Final = 100


class GitHubApi:
    """One server of GitHub, for one connection."""

    def __init__(self, connection: str, io: SourceIO, base: str) -> None:
        """Ask `base`; see `of`."""
        self._connection = connection
        self._io = io
        self._base = base.rstrip("/")

    @classmethod
    async def of(cls, connection: str, io: SourceIO) -> GitHubApi:
        """Return the API that a connection of kind `http` names; GitHub's own where it names none.

        Raises:
            Rejected: there is no such connection.

        """
        return cls(connection, io, (await io.connection(connection, Http)).url or API)

    async def get(self, path: str) -> Any:
        """Return what is at a path."""
        return (await self.page(path))[0]

    async def items(self, path: str) -> list[Any]:
        """Return all items of a list, of PAGES_MAX pages at most."""
        found: list[Any] = []
        url: str | None = f"{path}?per_page=100"
        for _ in range(PAGES_MAX):
            if url is None:
                break
            page, url = await self.page(url)
            found += page if isinstance(page, list) else []
        return found

    async def page(self, path: str) -> tuple[Any, str | None]:
        """Return what is at a path, or a whole address, and the address of the next page.

        Raises:
            Rejected, RetryAfter, NotConnected: as the server answers.

        """
        url = path if path.startswith("http") else self._base + path
        headers = {
            "accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28",
            "user-agent": "workflow-scheduler", **await self._io.credentials(self._connection, url),
        }  # fmt: skip
        request = HttpRequest(method="GET", url=url, headers=headers, reply_bytes_max=REPLY_BYTES_MAX)
        reply = await self._io.send(request)
        check_answer(reply.status, reply.headers, url, self._io.now(), reply.body)
        try:
            return msgspec.json.decode(reply.body), next_link(reply.headers.get("link", ""))
        except msgspec.MsgspecError as error:
            raise NotConnected(f"{url} answers no JSON") from error

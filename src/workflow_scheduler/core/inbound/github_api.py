"""GitHub's REST API, as triggers use it: signed by a connection or in the name of an App, page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.inbound.answers import check_answer
from workflow_scheduler.core.inbound.pages import next_link
from workflow_scheduler.core.model.connection import Http
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.core.ports.sources import SourceIO

API: Final = "https://api.github.com"
REPLY_BYTES_MAX: Final = 30 << 20  # a payload has at most 25 MB
PAGES_MAX: Final = 100
NO_APP: Final = "this service has no GitHub App any more"
NO_APP_FIX: Final = "Set GITHUB_APP_ID, or deploy the trigger with `via: webhook`."
_UNAUTHENTICATED: Final = 401
_NOT_FOUND: Final = 404


class Sign(Protocol):
    """Gives the headers that a request is signed with."""

    async def __call__(self, url: str, *, again: bool) -> Mapping[str, str]:
        """Sign for `url`; `again`: what it gave before was refused."""
        ...


class Refused(Rejected):
    """GitHub refuses a request for good; `http_status` is its status."""

    def __init__(self, detail: str, fix: str | None, http_status: int) -> None:
        """Say what was refused, and with which status."""
        super().__init__(detail, fix=fix)
        self.http_status = http_status


class GitHubApi:
    """One server of GitHub, for one caller."""

    def __init__(
        self,
        base: str,
        send: Callable[[HttpRequest], Awaitable[HttpReply]],
        now: Callable[[], int],
        sign: Sign,
        *,
        renews: bool = False,
    ) -> None:
        """Ask `base` through `send`; `renews`: what `sign` gives can end early, and is asked for once more then."""
        self._base = base.rstrip("/")
        self._send = send
        self._now = now
        self._sign = sign
        self._renews = renews

    @classmethod
    async def of(cls, connection: str, io: SourceIO) -> GitHubApi:
        """Return the API that a connection of kind `http` names; GitHub's own where it names none.

        Raises:
            Rejected: there is no such connection.

        """

        async def sign(url: str, *, again: bool) -> Mapping[str, str]:  # noqa: ARG001 -- there is one token only
            return await io.credentials(connection, url)

        return cls((await io.connection(connection, Http)).url or API, io.send, io.now, sign)

    async def get(self, path: str) -> Any:
        """Return what is at a path."""
        return (await self.page(path))[0]

    async def find(self, path: str) -> Any:
        """Return what is at a path, None where there is nothing."""
        reply = await self._ask("GET", self._base + path, None)
        return None if reply.status == _NOT_FOUND else self._read(reply)

    async def write(self, method: str, path: str, body: Any) -> Any:
        """Make or change something at a path, and return the answer."""
        return self._read(await self._ask(method, self._base + path, msgspec.json.encode(body)))

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
        """Return what is at a path, or at the whole address of a next page, and the address of the next page.

        Raises:
            Refused, RetryAfter, NotConnected: as the server answers.

        """
        url = path if path.startswith("http") else self._base + path
        if not url.startswith(self._base + "/"):
            raise Rejected(f"{self._base} says that a list goes on at {url[:200]}", fix="Check the address of the API.")
        reply = await self._ask("GET", url, None)
        return self._read(reply), next_link(reply.headers.get("link", ""))

    async def _ask(self, method: str, url: str, body: bytes | None) -> HttpReply:
        reply = await self._once(method, url, body, again=False)
        if reply.status == _UNAUTHENTICATED and self._renews:
            reply = await self._once(method, url, body, again=True)
        return reply

    async def _once(self, method: str, url: str, body: bytes | None, *, again: bool) -> HttpReply:
        headers = {
            "accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28",
            "user-agent": "workflow-scheduler", **await self._sign(url, again=again),
        }  # fmt: skip
        if body is not None:
            headers["content-type"] = "application/json"
        return await self._send(
            HttpRequest(method=method, url=url, headers=headers, body=body, reply_bytes_max=REPLY_BYTES_MAX)
        )

    def _read(self, reply: HttpReply) -> Any:
        try:
            check_answer(reply.status, reply.headers, reply.url, self._now(), reply.body)
        except Rejected as error:
            raise Refused(error.detail, error.fix, reply.status) from None
        try:
            return msgspec.json.decode(reply.body)
        except msgspec.MsgspecError as error:
            raise NotConnected(f"{reply.url} answers no JSON") from error


async def api_of_app(installation: str, repository: str, io: SourceIO) -> GitHubApi:
    """Return the API as an installation of the App sees `owner/name`.

    Raises:
        Rejected: this service has no App.

    """
    access = io.github_app
    if access is None:
        raise Rejected(NO_APP, fix=NO_APP_FIX)

    async def sign(url: str, *, again: bool) -> Mapping[str, str]:  # noqa: ARG001 -- a token is for the whole API
        return await access.sign(installation, repository, again=again)

    return GitHubApi(access.base, io.send, io.now, sign, renews=True)

"""Deliveries of GitHub that never arrived: GitHub keeps them for some days and does not try again by itself.

Source: GitHub REST API, "Repository webhooks", "Organization webhooks" and "GitHub App webhooks": list deliveries, get
a delivery. A delivery that was redelivered has another id and the same guid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.github_api import GitHubApi
from workflow_scheduler.core.model.github import Delivery
from workflow_scheduler.core.ports.github_app import GitHubAccess
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Heard, PushRequest
from workflow_scheduler.core.time.clock import SECOND_US

ENDPOINT: Final = "/api/v1/github/webhook"
PATHS: Final = (ENDPOINT, "/webhooks/github/")
MARK: Final = "hook="
"""Begins the query of the address of a webhook that a deployment made: whose it is, see `github_hooks`."""
SETTLED_US: Final = 60 * SECOND_US
PORTION: Final = 50
_GOOD = range(200, 300)


class Cursor(msgspec.Struct):
    """The hooks of the repository that come here, and the newest delivery of each that was decided."""

    decided: dict[str, int] = {}


class _Hook(msgspec.Struct, frozen=True):
    id: int
    config: dict[str, Any] = {}


class Hooks(Protocol):
    """The hooks through which deliveries should have come."""

    async def bases(self) -> list[str]:
        """Return where the deliveries of each hook are kept."""
        ...

    async def deliveries(self, base: str, after: int | None) -> list[Delivery]:
        """Return all deliveries that are newer than `after`; without it only those of the first page."""
        ...

    async def delivery(self, base: str, one: Delivery) -> Any:
        """Return a delivery with its request."""
        ...


class OwnHooks:
    """The webhooks of a repository, or for `owner/*` of an organization, that come here."""

    def __init__(self, api: GitHubApi, repository: str, mark: str) -> None:
        """Ask `api`, whose token may read them; of those that deployments made, only that with `mark` counts."""
        self._api = api
        self._mark = MARK + mark
        self._repository = repository

    async def bases(self) -> list[str]:
        """Return where their deliveries are kept.

        Raises:
            Rejected: the token may not read the webhooks, or none of them comes here.

        """
        owner, _, name = self._repository.partition("/")
        place = f"/orgs/{owner}/hooks" if name == "*" else f"/repos/{self._repository}/hooks"
        hooks = msgspec.convert(await self._api.items(place), list[_Hook])
        mine = [one for one in hooks if self._comes_here(str(one.config.get("url")))]
        if not mine:
            raise Rejected(
                f"no webhook of {self._repository} comes to {ENDPOINT}", fix="Add one, see docs/how-to/github.md."
            )
        return [f"{place}/{hook.id}/deliveries" for hook in mine]

    def _comes_here(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.path.startswith(PATHS) and (not parts.query.startswith(MARK) or parts.query == self._mark)

    async def deliveries(self, base: str, after: int | None) -> list[Delivery]:
        """Return what `listed` does."""
        return await listed(self._api, base, after)

    async def delivery(self, base: str, one: Delivery) -> Any:
        """Return a delivery."""
        return await self._api.get(f"{base}/{one.id}")


class AppHook:
    """The one hook of the GitHub App, as far as it is about an installation of the tenant."""

    def __init__(self, access: GitHubAccess, installation: str) -> None:
        """Ask for `installation` only."""
        self._access = access
        self._installation = installation

    async def bases(self) -> list[str]:
        """Return a name for it."""
        return ["/app/hook/deliveries"]

    async def deliveries(self, base: str, after: int | None) -> list[Delivery]:  # noqa: ARG002 -- there is one only
        """Return the deliveries; those of other installations without a name."""
        return await self._access.deliveries(self._installation, after)

    async def delivery(self, base: str, one: Delivery) -> Any:  # noqa: ARG002 -- there is one only
        """Return a delivery."""
        return await self._access.delivery(self._installation, one.id)


async def missed(hooks: Hooks, cursor: Any, io: SourceIO, hear: Callable[[PushRequest], list[Heard]]) -> Polled:
    """Return the next portion of what was missed; the first look only takes note of where the hooks are.

    Raises:
        Rejected: the hooks may not be read, or none of them comes here.
        RetryAfter, NotConnected: as the peer says.

    """
    state = Cursor() if cursor is None else msgspec.convert(cursor, Cursor)
    waiting, said = io.kept.pop("missed", ([], None))
    if not waiting or said != cursor:
        waiting = await _look(hooks, state, io)
    heard: list[Heard] = []
    for base, one in waiting[:PORTION]:
        heard += [
            msgspec.structs.replace(each.healed(), time=one.at)
            for each in _again(await hooks.delivery(base, one), one, io, hear)
        ]
        state.decided[base] = one.id
    left, moved = waiting[PORTION:], msgspec.to_builtins(state)
    if left:
        io.kept["missed"] = (left, moved)
    return Polled(heard=heard, cursor=moved, more=bool(left), lag=len(left))


async def _look(hooks: Hooks, state: Cursor, io: SourceIO) -> list[tuple[str, Delivery]]:
    """Return what failed since the last look, the oldest first; take note of what did not."""
    found: list[tuple[str, Delivery]] = []
    for base in await hooks.bases():
        after = state.decided.get(base)
        there = await hooks.deliveries(base, after)
        settled = [one for one in there if one.at <= io.now() - SETTLED_US]
        if after is not None:
            arrived = {one.guid for one in there if one.status_code in _GOOD}
            lost = {one.guid: one for one in sorted(settled, key=lambda one: one.id) if one.guid not in arrived}
            found += [(base, one) for one in lost.values()]
        if settled and (after is None or not any(base == place for place, _ in found)):
            state.decided[base] = max(one.id for one in settled)
        elif after is None:
            state.decided[base] = 0
    return sorted(found, key=lambda pair: pair[1].id)


async def listed(api: GitHubApi, base: str, after: int | None) -> list[Delivery]:
    """Return all deliveries that are newer than `after`; without it only those of the first page.

    A list that were cut short would lose its oldest ones: the newest come first.
    """
    found: list[Delivery] = []
    url: str | None = f"{base}?per_page=100"
    while url is not None:
        page, url = await api.page(url)
        there = msgspec.convert(page, list[Delivery])
        found += [one for one in there if after is None or one.id > after]
        if after is None or any(one.id <= after for one in there):
            break
    return found


def _again(told: Any, one: Delivery, io: SourceIO, hear: Callable[[PushRequest], list[Heard]]) -> Sequence[Heard]:
    request = told.get("request") if isinstance(told, dict) else None
    if not isinstance(request, Mapping) or request.get("payload") is None:
        return ()
    given = request.get("headers") or {}
    headers = {str(name).lower(): str(value) for name, value in given.items()}
    headers = {
        **headers,
        "x-github-delivery": one.guid,
        "x-github-event": one.event,
        "content-type": "application/json",
    }
    return hear(PushRequest("POST", ENDPOINT, "", headers, msgspec.json.encode(request["payload"]), io.now()))

"""Deliveries of GitHub that never arrived: GitHub keeps them for some days and does not try again by itself.

Source: GitHub REST API, "Repository webhooks" and "Organization webhooks": list deliveries, get a delivery. A delivery
that was redelivered has another id and the same guid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.github_api import GitHubApi
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Heard, PushRequest
from workflow_scheduler.core.time.clock import SECOND_US, from_iso

ENDPOINT: Final = "/api/v1/github/webhook"
PATHS: Final = (ENDPOINT, "/webhooks/github/")
SETTLED_US: Final = 60 * SECOND_US
PORTION: Final = 50
_GOOD = range(200, 300)


class Delivery(msgspec.Struct, frozen=True):
    """One delivery of a list; `status_code` is 0 where nobody answered."""

    id: int
    guid: str
    delivered_at: str
    status_code: int = 0
    event: str = ""

    @property
    def at(self) -> int:
        """When it was tried, microseconds."""
        return from_iso(self.delivered_at)


class Cursor(msgspec.Struct):
    """The hooks of the repository that come here, and the newest delivery of each that was decided."""

    decided: dict[str, int] = {}


class _Hook(msgspec.Struct, frozen=True):
    id: int
    config: dict[str, Any] = {}


async def missed(
    connection: str, repository: str, cursor: Any, io: SourceIO, hear: Callable[[PushRequest], list[Heard]]
) -> Polled:
    """Return the next portion of what was missed; the first look only takes note of where the hooks are.

    Raises:
        Rejected: the token may not read the webhooks, or none of them comes here.
        RetryAfter, NotConnected: as the peer says.

    """
    api = await GitHubApi.of(connection, io)
    state = Cursor() if cursor is None else msgspec.convert(cursor, Cursor)
    waiting, said = io.kept.pop("missed", ([], None))
    if not waiting or said != cursor:
        waiting = await _look(api, repository, state, io)
    heard: list[Heard] = []
    for base, one in waiting[:PORTION]:
        heard += [_healed(each, one) for each in await _fetch(api, base, one, io, hear)]
        state.decided[base] = one.id
    left, moved = waiting[PORTION:], msgspec.to_builtins(state)
    if left:
        io.kept["missed"] = (left, moved)
    return Polled(heard=heard, cursor=moved, more=bool(left), lag=len(left))


async def _look(api: GitHubApi, repository: str, state: Cursor, io: SourceIO) -> list[tuple[str, Delivery]]:
    """Return what failed since the last look, the oldest first; take note of what did not."""
    owner, _, name = repository.partition("/")
    place = f"/orgs/{owner}/hooks" if name == "*" else f"/repos/{repository}/hooks"
    hooks = msgspec.convert(await api.items(place), list[_Hook])
    mine = [one for one in hooks if urlsplit(str(one.config.get("url"))).path.startswith(PATHS)]
    if not mine:
        raise Rejected(f"no webhook of {repository} comes to {ENDPOINT}", fix="Add one, see docs/how-to/github.md.")
    found: list[tuple[str, Delivery]] = []
    for hook in mine:
        base = f"{place}/{hook.id}/deliveries"
        after = state.decided.get(base)
        listed = await _deliveries(api, base, after)
        settled = [one for one in listed if one.at <= io.now() - SETTLED_US]
        if after is not None:
            arrived = {one.guid for one in listed if one.status_code in _GOOD}
            lost = {one.guid: one for one in sorted(settled, key=lambda one: one.id) if one.guid not in arrived}
            found += [(base, one) for one in lost.values()]
        if settled and (after is None or not any(base == place for place, _ in found)):
            state.decided[base] = max(one.id for one in settled)
        elif after is None:
            state.decided[base] = 0
    return sorted(found, key=lambda pair: pair[1].id)


async def _deliveries(api: GitHubApi, base: str, after: int | None) -> list[Delivery]:
    """Return all deliveries that are newer than `after`; without it only those of the first page.

    A list that were cut short would lose its oldest ones: the newest come first.
    """
    found: list[Delivery] = []
    url: str | None = f"{base}?per_page=100"
    while url is not None:
        page, url = await api.page(url)
        listed = msgspec.convert(page, list[Delivery])
        found += [one for one in listed if after is None or one.id > after]
        if after is None or any(one.id <= after for one in listed):
            break
    return found


async def _fetch(
    api: GitHubApi, base: str, one: Delivery, io: SourceIO, hear: Callable[[PushRequest], list[Heard]]
) -> Sequence[Heard]:
    told = await api.get(f"{base}/{one.id}")
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


def _healed(heard: Heard, one: Delivery) -> Heard:
    attributes = {**msgspec.json.decode(heard.attributes), "healed": True}
    return msgspec.structs.replace(heard, attributes=msgspec.json.encode(attributes), time=one.at)

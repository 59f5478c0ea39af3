"""The part of the Google Calendar API that the trigger needs.

Sources: "Synchronize resources efficiently" (sync tokens, 410), "Push notifications" (channels), and the reference of
Events: list and Events: watch.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.outbound.google import Client, Refused

SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
PAGE_MAX = 250
GONE = 410
MILLISECOND_US = 1_000


class Channel(msgspec.Struct, frozen=True):
    """A channel on which Google tells of changes; times in microseconds UTC. `token` is what it proves itself by.

    `expires_at` is None where Google names no end.
    """

    id: str
    resource: str
    token: str
    made_at: int
    expires_at: int | None = None

    def is_old(self, now: int) -> bool:
        """Tell whether half of its life is over, so that it is to be replaced."""
        return self.expires_at is not None and now >= self.made_at + (self.expires_at - self.made_at) // 2


class Events(NamedTuple):
    """One page of a list of events."""

    items: list[dict[str, Any]]
    page: str | None
    sync: str | None
    zone: str


class Calendar:
    """One calendar of an account."""

    def __init__(self, client: Client, calendar: str) -> None:
        """`calendar` is its id, or `primary`."""
        self._client = client
        self._base = f"{client.address('www')}/calendar/v3"
        self._events = f"{self._base}/calendars/{quote(calendar, safe='')}/events"

    async def events(self, **query: str) -> Events | None:
        """Return one page; None where Google has forgotten what the token stood for.

        Raises:
            Refused, RetryAfter, NotConnected: as Client.ask.

        """
        url = f"{self._events}?{urlencode({'maxResults': str(PAGE_MAX), **query})}"
        try:
            told = _decoded(await self._client.ask("GET", url))
        except Refused as error:
            if error.http_status == GONE:
                return None
            raise
        items = [one for one in told.get("items") or () if isinstance(one, dict) and one.get("id")]
        return Events(items, told.get("nextPageToken"), told.get("nextSyncToken"), str(told.get("timeZone") or "UTC"))

    async def watch(self, name: str, address: str, token: str, now: int) -> Channel:
        """Let Google tell `address` of changes, for as long as it likes to.

        Raises:
            Refused, RetryAfter, NotConnected: as Client.ask.

        """
        body = {"id": name, "type": "web_hook", "address": address, "token": token}
        told = _decoded(await self._client.ask("POST", f"{self._events}/watch", body))
        end = told.get("expiration")
        return Channel(
            id=name, resource=str(told.get("resourceId")), token=token, made_at=now,
            expires_at=int(end) * MILLISECOND_US if end else None,
        )  # fmt: skip

    async def stop(self, channel: Channel) -> None:
        """End a channel; one that has ended already is no matter.

        Raises:
            RetryAfter, NotConnected: as Client.ask.

        """
        try:
            body = {"id": channel.id, "resourceId": channel.resource}
            await self._client.ask("POST", f"{self._base}/channels/stop", body)
        except Refused:
            return


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotConnected(f"the answer of the calendar cannot be read: {error}") from error

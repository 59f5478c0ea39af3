"""A calendar that enforces the rules that Google documents for lists of events, sync tokens and channels.

Rules: https://developers.google.com/workspace/calendar/api/guides/sync (a token goes with one query, pages, 410) and
https://developers.google.com/workspace/calendar/api/guides/push (HTTPS addresses, channels with an end, headers).
"""

import datetime as dt
import itertools
import time

from aiohttp import web
from servers.google import Google, refusal

PAGE = 100
CHANNEL_SECONDS = 7 * 86_400


def iso(seconds):
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Calendars(Google):
    """The server with one calendar."""

    calendar = "team@shop.example"

    def __init__(self):
        super().__init__()
        self.entries = {}  # id: (change, entry)
        self.channels = {}
        self.stopped = []
        self.ends = True  # whether a channel has an end
        self.oldest = 0  # tokens of earlier changes are forgotten
        self.now = time.time  # noqa: TID251 -- the server's own clock
        self._changes = itertools.count(1)
        self._change = 0

    def routes(self, router):
        base = "/calendar/v3/calendars/{calendar}/events"
        router.add_get(base, self._list)
        router.add_post(base + "/watch", self._watch)
        router.add_post("/calendar/v3/channels/stop", self._stop_channel)

    def set(self, name, **fields):
        """Create or change an entry."""
        self._change = next(self._changes)
        known = self.entries.get(name, (0, {"id": name, "status": "confirmed", "created": iso(self.now())}))[1]
        etag = f'"{self._change}"'
        self.entries[name] = (self._change, {**known, **fields, "updated": iso(self.now()), "etag": etag})

    def drop(self, name):
        """Delete an entry, of which only the least is told from now on."""
        self._change = next(self._changes)
        self.entries[name] = (self._change, {"id": name, "status": "cancelled", "etag": f'"{self._change}"'})

    def forget_tokens(self):
        self.oldest = self._change + 1

    async def _list(self, request):
        query = request.query
        if request.match_info["calendar"] != self.calendar:
            return refusal(404, "NOT_FOUND", "Not Found")
        token, start, most = query.get("syncToken"), int(query.get("pageToken", "0")), int(query["maxResults"])
        if token is not None and any(name in query for name in ("timeMin", "timeMax", "orderBy", "q", "updatedMin")):
            return refusal(400, "INVALID_ARGUMENT", "Sync token cannot be used with other restrictions")
        if token is not None and int(token) < self.oldest:
            return refusal(410, "GONE", "Sync token is no longer valid, a full sync is required.")
        found = sorted(self.entries.values(), key=lambda pair: pair[0])
        shown = [entry for change, entry in found if token is None or change > int(token)]
        if query.get("showDeleted") != "true":
            shown = [entry for entry in shown if entry["status"] != "cancelled"]
        if "timeMin" in query:
            begin, end = (dt.datetime.fromisoformat(query[name]) for name in ("timeMin", "timeMax"))
            shown = [entry for entry in shown if self._start(entry) < end and self._end(entry) > begin]
        size = min(most, PAGE)
        answer = {"kind": "calendar#events", "timeZone": "Europe/Berlin", "items": shown[start : start + size]}
        if start + size < len(shown):
            answer["nextPageToken"] = str(start + size)
        elif "timeMin" not in query:
            answer["nextSyncToken"] = str(self._change)
        return web.json_response(answer)

    @staticmethod
    def _start(entry):
        told = entry.get("start") or {}
        return dt.datetime.fromisoformat(told.get("dateTime") or f"{told.get('date', '1970-01-01')}T00:00:00+01:00")

    def _end(self, entry):
        return self._start(entry) + dt.timedelta(hours=1)

    async def _watch(self, request):
        body = await request.json()
        if not body["address"].startswith("https://"):
            return refusal(400, "INVALID_ARGUMENT", "WebHook callback must be HTTPS")
        if body["type"] != "web_hook" or len(body["id"]) > 64 or len(body["token"]) > 256:
            return refusal(400, "INVALID_ARGUMENT", "Invalid channel")
        if body["id"] in self.channels:
            return refusal(400, "channelIdNotUnique", "Channel id not unique")
        expiration = round((self.now() + CHANNEL_SECONDS) * 1000)
        self.channels[body["id"]] = {**body, "expiration": str(expiration), "resourceId": "r1"}
        end = {"expiration": str(expiration)} if self.ends else {}
        return web.json_response({"id": body["id"], "resourceId": "r1", **end})

    async def _stop_channel(self, request):
        body = await request.json()
        if self.channels.pop(body["id"], None) is None or body["resourceId"] != "r1":
            return refusal(404, "NOT_FOUND", "Channel not found")
        self.stopped.append(body["id"])
        return web.Response(status=204)

    def notification(self):
        """Return the headers with which the newest channel is told of a change."""
        name, channel = list(self.channels.items())[-1]
        return {"X-Goog-Channel-ID": name, "X-Goog-Channel-Token": channel["token"], "X-Goog-Resource-State": "exists",
                "X-Goog-Resource-ID": "r1", "X-Goog-Message-Number": "2"}  # fmt: skip

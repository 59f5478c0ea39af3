"""A Slack Web API for tests, on 127.0.0.1: it enforces the documented rules and keeps what was posted.

The rules, with where Slack documents them:

- tokens in `Authorization: Bearer`, JSON bodies with a charset (https://docs.slack.dev/apis/web-api/)
- HTTP 429 with `Retry-After` beyond the rate limit (https://docs.slack.dev/apis/web-api/rate-limits/)
- `chat.postMessage` and its errors (https://docs.slack.dev/reference/methods/chat.postMessage)
- `chat.update`: the bot's own messages only (https://docs.slack.dev/reference/methods/chat.update)
- `conversations.history` and `.replies`: channel ids only, and a scope
  (https://docs.slack.dev/reference/methods/conversations.history)
- `conversations.list`, page by page with `next_cursor`, and `users.lookupByEmail`
  (https://docs.slack.dev/reference/methods/conversations.list, https://docs.slack.dev/apis/web-api/pagination/)
- at most 50 blocks, each with a `type` (https://docs.slack.dev/reference/block-kit/blocks/)
- metadata with `event_type` and `event_payload` (https://docs.slack.dev/messaging/message-metadata/)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Self

import msgspec
from aiohttp import web

TOKEN = "xoxb-1-the-bot"  # noqa: S105 - of no workspace
TEXT_CHARACTERS_MAX = 40_000
BLOCKS_MAX = 50
_LATER = 2_000_000_000  # what is posted is newer than whatever the clock of a test says
Answer = dict[str, Any]


class Channel(msgspec.Struct):
    """A channel. `member`: the bot is in it."""

    id: str
    name: str
    member: bool = True
    archived: bool = False
    private: bool = False
    messages: list[Answer] = msgspec.field(default_factory=list)


class SlackPeer:
    """The workspace. Use it as an async context manager; `url` is what a connection's `api_url` names."""

    def __init__(self) -> None:
        """Start with the channels #ops (C1, the bot is in it), #quiet (C2, it is not) and #old (C3, archived)."""
        self.channels = [
            Channel("C1", "ops"),
            Channel("C2", "quiet", member=False),
            Channel("C3", "old", archived=True),
        ]
        self.scopes = {"chat:write", "channels:history", "channels:read", "users:read.email"}
        self.users = {"ada@acme.test": "U061F7AUR"}
        self.page_max = 1_000
        self.tokens = {TOKEN}
        self.calls: list[tuple[str, Answer]] = []
        self.limited = 0
        self.retry_after_seconds = 30
        self.lost_answers = 0
        self.failures: list[str] = []
        self.url = ""
        self._count = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/api"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def messages(self, channel: str = "C1") -> list[Answer]:
        """Return what stands in a channel, the oldest first."""
        return next(one.messages for one in self.channels if one.id == channel)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if self.limited > 0:
            self.limited -= 1
            headers = {"Retry-After": str(self.retry_after_seconds)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        if self.failures:
            return web.json_response({"ok": False, "error": self.failures.pop(0)})
        answer = await self._answer(method, request)
        if self.lost_answers > 0 and method != "conversations.history":
            self.lost_answers -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response(answer)

    async def _answer(self, method: str, request: web.Request) -> Answer:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return _no("not_authed")
        if token not in self.tokens:
            return _no("invalid_auth")
        known: dict[str, Callable[[Answer], Awaitable[Answer]]] = {
            "auth.test": self._who,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.info": self._info,
            "conversations.list": self._list,
            "users.lookupByEmail": self._lookup,
            "conversations.replies": self._replies,
        }
        if method not in known:
            return _no("unknown_method")
        if request.method == "GET":
            given: Answer = dict(request.query)
        elif request.content_type != "application/json":
            return _no("invalid_post_type")
        else:
            given = await request.json()
        self.calls.append((method, given))
        return await known[method](given)

    async def _who(self, _given: Answer) -> Answer:
        return {"ok": True, "team": "Acme", "user": "wfs", "team_id": "T1", "user_id": "U1", "bot_id": "B1"}

    def _channel(self, given: Answer, *, ids_only: bool = False) -> Channel | str:
        name = str(given.get("channel", ""))
        for one in self.channels:
            if name == one.id or (not ids_only and name.removeprefix("#") == one.name):
                return one
        return "channel_not_found"

    async def _post(self, given: Answer) -> Answer:
        channel = self._channel(given)
        if isinstance(channel, str):
            return _no(channel)
        problem = self._may_post(channel) or _content_problem(given)
        if problem:
            return _no(problem)
        if given.get("thread_ts") and not _find(channel, str(given["thread_ts"])):
            return _no("thread_not_found")
        metadata = given.get("metadata")
        if metadata is not None and not {"event_type", "event_payload"} <= set(metadata):
            return _no("metadata_must_be_sent_from_app")
        self._count += 1
        message = {"ts": f"{_LATER}.{self._count:06d}", "bot_id": "B1", **given}
        channel.messages.append(message)
        return {"ok": True, "channel": channel.id, "ts": message["ts"], "message": message}

    def _may_post(self, channel: Channel) -> str:
        if "chat:write" not in self.scopes:
            return "missing_scope"
        if channel.archived:
            return "is_archived"
        return "" if channel.member else "not_in_channel"

    async def _update(self, given: Answer) -> Answer:
        channel = self._channel(given, ids_only=True)
        if isinstance(channel, str):
            return _no(channel)
        message = _find(channel, str(given.get("ts", "")))
        if message is None:
            return _no("message_not_found")
        if message.get("bot_id") != "B1":
            return _no("cant_update_message")
        problem = _content_problem(given)
        if problem:
            return _no(problem)
        message.update({key: given[key] for key in ("text", "blocks") if key in given})
        return {"ok": True, "channel": channel.id, "ts": message["ts"], "text": message.get("text", "")}

    async def _list(self, given: Answer) -> Answer:
        """Return the channels page by page; a cursor of its own, opaque to callers."""
        if "channels:read" not in self.scopes:
            return {**_no("missing_scope"), "needed": "channels:read", "provided": ",".join(sorted(self.scopes))}
        shown = [one for one in self.channels if not (one.archived and given.get("exclude_archived") == "true")]
        cursor = str(given.get("cursor", ""))
        if cursor and not cursor.startswith("at:"):
            return _no("invalid_cursor")
        at = int(cursor.removeprefix("at:") or 0)
        size = min(int(given.get("limit", 100)), self.page_max)
        following = f"at:{at + size}" if at + size < len(shown) else ""
        channels = [{"id": one.id, "name": one.name, "is_member": one.member} for one in shown[at : at + size]]
        return {"ok": True, "channels": channels, "response_metadata": {"next_cursor": following}}

    async def _lookup(self, given: Answer) -> Answer:
        if "users:read.email" not in self.scopes:
            return {**_no("missing_scope"), "needed": "users:read.email", "provided": ",".join(sorted(self.scopes))}
        user = self.users.get(str(given.get("email", "")))
        return {"ok": True, "user": {"id": user}} if user else _no("users_not_found")

    async def _history(self, given: Answer) -> Answer:
        channel = self._channel(given, ids_only=True)
        if isinstance(channel, str):
            return _no(channel)
        if "channels:history" not in self.scopes:
            return {**_no("missing_scope"), "needed": "channels:history", "provided": ",".join(sorted(self.scopes))}
        if not channel.member:
            return _no("not_in_channel")
        first, last = float(given.get("oldest") or 0), float(given.get("latest") or "inf")
        shown = [
            one for one in reversed(channel.messages) if "thread_ts" not in one and first <= float(one["ts"]) <= last
        ]
        at = int(str(given.get("cursor", "")).removeprefix("at:") or 0)
        size = min(int(given.get("limit", 100)), self.page_max)
        following = f"at:{at + size}" if at + size < len(shown) else ""
        page = [_seen(one, given) for one in shown[at : at + size]]
        more = {"has_more": bool(following), "response_metadata": {"next_cursor": following}}
        return {"ok": True, "messages": page, **more}

    async def _info(self, given: Answer) -> Answer:
        channel = self._channel(given, ids_only=True)
        if isinstance(channel, str):
            return _no(channel)
        return {"ok": True, "channel": {"id": channel.id, "name": channel.name, "is_private": channel.private}}

    async def _replies(self, given: Answer) -> Answer:
        channel = self._channel(given, ids_only=True)
        if isinstance(channel, str):
            return _no(channel)
        ts = str(given.get("ts", ""))
        if _find(channel, ts) is None:
            return _no("thread_not_found")
        shown = [one for one in channel.messages if ts in (one["ts"], one.get("thread_ts"))]
        return {"ok": True, "messages": [_seen(one, given) for one in shown], "has_more": False}


def _seen(message: Answer, given: Answer) -> Answer:
    """Return a message as history shows it: metadata only for those who ask."""
    hidden = () if given.get("include_all_metadata") == "true" else ("metadata",)
    return {key: value for key, value in message.items() if key not in hidden}


def _find(channel: Channel, ts: str) -> Answer | None:
    return next((one for one in channel.messages if one["ts"] == ts), None)


def _content_problem(given: Answer) -> str:
    text, blocks = given.get("text"), given.get("blocks")
    if not text and not blocks:
        return "no_text"
    if text and len(text) > TEXT_CHARACTERS_MAX:
        return "msg_too_long"
    if blocks is not None and (len(blocks) > BLOCKS_MAX or any("type" not in one for one in blocks)):
        return "invalid_blocks"
    return ""


def _no(error: str) -> Answer:
    return {"ok": False, "error": error}

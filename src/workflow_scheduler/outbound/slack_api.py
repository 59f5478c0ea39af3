"""Calling Slack's Web API through the outbound HTTP client, and its refusals in plain words.

Answers are HTTP 200 with `ok: true` or `ok: false` and an error code; too many calls are HTTP 429 with `Retry-After`.
See https://docs.slack.dev/apis/web-api/ and https://docs.slack.dev/apis/web-api/rate-limits/.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from workflow_scheduler.core.errors import Rejected, RetryAfter, SchedulerError, Unavailable
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest, Outbound
from workflow_scheduler.core.time.retry_after import retry_after_seconds

TIMEOUT_SECONDS = 30.0
RETRY_SECONDS = 30.0
_TOO_MANY = 429
_FAULT = 500
_TRY_AGAIN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_ANOTHER = "Set a valid bot token: `workflow-scheduler connection rotate NAME`, or the secret SLACK_BOT_TOKEN."
ERRORS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {
        "channel_not_found": (
            "there is no such channel, or the bot cannot see it",
            "Check the name, or invite the bot.",
        ),
        "not_in_channel": ("the bot is not a member of the channel", "Invite it: /invite @bot in the channel."),
        "is_archived": ("the channel is archived", "Choose another channel, or unarchive it."),
        "invalid_auth": ("the token is not valid", _ANOTHER),
        "not_authed": ("no token was sent", _ANOTHER),
        "token_revoked": ("the token was revoked", _ANOTHER),
        "token_expired": ("the token has expired", _ANOTHER),
        "account_inactive": ("the token belongs to a deleted user or workspace", _ANOTHER),
        "missing_scope": ("the token lacks a permission", "Add the scope to the app and install it again."),
        "no_permission": ("the token may not do this", "Give the app the permission."),
        "restricted_action": ("the workspace does not let the bot post here", "Ask an administrator of the workspace."),
        "no_text": ("the message has neither text nor blocks", "Write `text` or `blocks`."),
        "msg_too_long": ("the text is longer than 40,000 characters", "Shorten it."),
        "invalid_blocks": ("the blocks are not valid", "Try them in Slack's Block Kit Builder."),
        "invalid_blocks_format": ("the blocks are no list of blocks", "Try them in Slack's Block Kit Builder."),
        "thread_not_found": ("there is no message at `thread_ts`", "Use the `ts` of a message of this channel."),
        "message_not_found": ("there is no message at `update`", "Use the `ts` of a message of this channel."),
        "cant_update_message": ("the message is not the bot's own", "Only the bot's own messages can be changed."),
        "edit_window_closed": ("the message is too old to be changed", "Post a new one."),
        "ratelimited": ("Slack asks to wait", None),
        "ekm_access_denied": ("an administrator has suspended posting", "Ask an administrator of the workspace."),
        "metadata_too_large": ("the metadata is too large", "Shorten it."),
    }
)


class SlackApi:
    """The Web API as one token sees it. Every call carries the job's idempotency key as a header."""

    def __init__(self, outbound: Outbound, workspace: Slack, key: str, now: int) -> None:
        """Call through `outbound`; `now` (microseconds) is for `Retry-After` dates."""
        self._outbound = outbound
        self._workspace = workspace
        self._key = key
        self._now = now

    async def post(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that takes JSON.

        Raises:
            RetryAfter: Slack asks to wait.
            Unavailable: it fails for the moment.
            Rejected: it refuses; the text says why in plain words.

        """
        headers = {"Content-Type": "application/json; charset=utf-8"}
        return await self._call("POST", method, msgspec.json.encode(body), headers)

    async def get(self, method: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that reads; errors as for `post`."""
        return await self._call("GET", f"{method}?{urlencode(query)}" if query else method, None, {})

    async def _call(self, verb: str, target: str, body: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
        request = HttpRequest(
            method=verb,
            url=f"{self._workspace.api_url.rstrip('/')}/{target}",
            headers={"Authorization": f"Bearer {self._workspace.token}", "Idempotency-Key": self._key, **headers},
            body=body,
            timeout_seconds=TIMEOUT_SECONDS,
            redirects_max=0,
        )
        return _checked(await self._outbound.send(request), target.partition("?")[0], self._now)


def _checked(reply: HttpReply, method: str, now: int) -> dict[str, Any]:
    wait = retry_after_seconds(reply.headers.get("retry-after"), now)
    if reply.status == _TOO_MANY:
        raise RetryAfter(f"{method}: Slack asks to wait", retry_after_seconds=RETRY_SECONDS if wait is None else wait)
    if reply.status >= _FAULT:
        raise Unavailable(f"{method}: Slack answered {reply.status}", retry_after_seconds=wait)
    try:
        answer = msgspec.json.decode(reply.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Rejected(f"{method}: the answer ({reply.status}) is not Slack's") from None
    if answer.get("ok") is not True:
        raise refusal(method, answer, wait)
    return answer


def refusal(method: str, answer: Mapping[str, Any], wait: float | None = None) -> SchedulerError:
    """Return the error for an answer with `ok: false`."""
    code = str(answer.get("error", "unknown_error"))
    words, fix = ERRORS.get(code, ("Slack refuses", f"See https://docs.slack.dev/reference/methods/{method}#errors"))
    more = ""
    if answer.get("needed"):
        more = f"; it needs `{answer['needed']}` and has `{answer.get('provided', '')}`"
    found = answer.get("response_metadata")
    if isinstance(found, dict) and found.get("messages"):
        more += "; " + "; ".join(str(one) for one in found["messages"][:3])
    detail = f"{method}: {words} ({code}){more}"
    if code == "ratelimited":
        return RetryAfter(detail, retry_after_seconds=RETRY_SECONDS if wait is None else wait)
    if code in _TRY_AGAIN:
        return Unavailable(detail, retry_after_seconds=wait)
    return Rejected(detail, fix=fix)

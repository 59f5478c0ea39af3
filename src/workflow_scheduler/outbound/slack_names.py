"""The ids of Slack's channels and users, found by their names and mail addresses.

See https://docs.slack.dev/reference/methods/conversations.list (pages by cursor) and
https://docs.slack.dev/reference/methods/users.lookupByEmail.
"""

from __future__ import annotations

from collections.abc import Iterable

from workflow_scheduler.core.errors import NotFound, Rejected
from workflow_scheduler.outbound.slack_api import SlackApi

PAGES_MAX = 100
PAGE = "200"


async def channel_ids(api: SlackApi, names: Iterable[str]) -> dict[str, str]:
    """Return the ids of channels by the names as they were written, with or without `#`.

    Raises:
        NotFound: there is no such channel that the bot can see.
        SchedulerError: Slack refuses, or cannot be asked now.

    """
    left = {name.removeprefix("#").lower(): name for name in names}
    found: dict[str, str] = {}
    query = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": PAGE}
    for _ in range(PAGES_MAX if left else 0):
        page = await api.get("conversations.list", query)
        for one in page.get("channels", ()):
            written = left.pop(str(one.get("name", "")).lower(), None)
            if written is not None:
                found[written] = str(one["id"])
        cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor or not left:
            break
        query = {**query, "cursor": cursor}
    if left:
        raise NotFound(f"there is no channel `{next(iter(left.values()))}` that the bot can see")
    return found


async def user_ids(api: SlackApi, addresses: Iterable[str]) -> dict[str, str]:
    """Return the ids of users by their mail addresses; errors as for `channel_ids`."""
    found: dict[str, str] = {}
    for address in addresses:
        try:
            answer = await api.get("users.lookupByEmail", {"email": address})
        except Rejected as error:
            if "users_not_found" in error.detail:
                raise NotFound(f"there is no user with the address `{address}`") from None
            raise
        found[address] = str(answer["user"]["id"])
    return found

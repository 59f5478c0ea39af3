"""Made from the trigger type `slack` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Slack(Trigger):
    """Something that happens in Slack: a message, a mention, a reaction, a pressed button, a command.

    Attributes:
        workspace_id: The id of the workspace (T…). None: the one of the token, or every one whose secret fits.
        channels: Ids (C…) or names (`#general`). None: every channel that the app can see.
        event_types: Names of events, interactions, or `slash_command`. An empty list: every one.
        users: Ids (U…) or mail addresses of those who count. None: everybody.
        mention_required: Only messages that mention the app's bot.
        ignore_bots: Leave out what bots write.
        require_thread: Only replies within a thread.
        text: Regular expressions (RE2), of which one must occur in the text.
        connection: A connection of kind `slack`, whose token turns names into ids. Default: SLACK_BOT_TOKEN.
        secret: The name of the stored secret that Slack signs with. Default: the one of the whole service.
        socket: Connect to Slack in place of being called; the connection needs an app token (xapp-…).
        history: Look in the channels for messages that never arrived; the token needs channels:history.
        ids: The ids of named channels and users, found at deploy.

    """

    type: ClassVar[str] = "slack"
    _: KW_ONLY
    workspace_id: str | UnsetType | None = UNSET
    channels: str | Sequence[str] | UnsetType = UNSET
    event_types: str | Sequence[str] | UnsetType = UNSET
    users: str | Sequence[str] | UnsetType = UNSET
    mention_required: bool | UnsetType = UNSET
    ignore_bots: bool | UnsetType = UNSET
    require_thread: bool | UnsetType = UNSET
    text: str | Sequence[str] | UnsetType = UNSET
    connection: str | UnsetType | None = UNSET
    secret: str | UnsetType = UNSET
    socket: bool | UnsetType = UNSET
    history: bool | UnsetType = UNSET
    ids: Mapping[str, Any] | UnsetType = UNSET

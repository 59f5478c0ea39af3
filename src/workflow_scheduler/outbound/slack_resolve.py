"""The workspace of a Slack token, and the ids of channels and users that people know by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workflow_scheduler.core.errors import NotFound, SchedulerError, ValidationFailed
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.core.ports.resolving import Resolved, Resolving
from workflow_scheduler.outbound.slack_api import SlackApi
from workflow_scheduler.outbound.slack_names import channel_ids, user_ids

DEFAULT_TOKEN = "SLACK_BOT_TOKEN"  # noqa: S105 - the name of a secret


class Wanted(NamedTuple):
    """What is to be resolved, and with whose token: that of `connection`, or the default one."""

    connection: str | None
    workspace_id: str | None
    channels: Sequence[str]
    users: Sequence[str]


async def resolved(wanted: Wanted, around: Resolving) -> Resolved:
    """Return the ids.

    Raises:
        ValidationFailed: there is no such channel or user, or no token to ask with.
        SchedulerError: Slack cannot be asked now, and names depend on it.

    """
    channels, users = wanted.channels, wanted.users
    workspace = await _workspace(wanted, around)
    if workspace is None:
        if channels or users:
            raise _refused("channels" if channels else "users", f"no token turns `{(channels or users)[0]}` into an id")
        return Resolved()
    api = SlackApi(around.outbound, workspace, "deploy", around.now)
    fields: dict[str, object] = {}
    warnings: tuple[str, ...] = ()
    try:
        who = await api.get("auth.test", {})
    except SchedulerError as error:
        if channels or users:
            raise
        warnings = (f"the Slack token could not be tried: {error.detail}",)
    else:
        if wanted.workspace_id is not None and who.get("team_id") != wanted.workspace_id:
            raise _refused("workspace_id", f"the token belongs to the workspace `{who.get('team_id')}`")
        fields["workspace_id"] = str(who.get("team_id"))
    ids: dict[str, str] = {}
    for field, names, look in (("channels", channels, channel_ids), ("users", users, user_ids)):
        try:
            ids |= await look(api, names)
        except NotFound as error:
            raise _refused(field, error.detail) from None
    return Resolved({**fields, **({"ids": ids} if ids else {})}, warnings)


async def _workspace(wanted: Wanted, around: Resolving) -> Slack | None:
    if wanted.connection is not None:
        connection = await around.connection(wanted.connection)
        if connection is None or not isinstance(connection.fields, Slack):
            raise _refused("connection", f"there is no connection `{wanted.connection}` of kind `slack`")
        return connection.fields
    token = await around.secret(DEFAULT_TOKEN)
    return None if token is None else Slack(token=token)


def _refused(field: str, message: str) -> ValidationFailed:
    fix = "set the secret SLACK_BOT_TOKEN, name a `connection` of kind slack, or write ids (C…, U…)"
    return ValidationFailed.at(field, message, fix)

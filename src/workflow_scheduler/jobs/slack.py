"""Post a message to Slack, or change one.

The token comes from a connection of kind `slack`, or from a secret (SLACK_BOT_TOKEN by default). `thread_ts` answers in
a thread, `update` changes the message with that `ts`. The output is `{"channel", "ts", "already"}`.

A message carries the job's idempotency key as `client_msg_id` and in its metadata. Before a second attempt the channel
is searched for it, so that a message whose answer was lost is not posted twice (`already: true`); that needs a channel
id and the scope `channels:history` (or `groups:history`), and the log says when it was not possible. `Retry-After` is
honoured, and what Slack refuses is named in plain words.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from workflow_scheduler.core.errors import Rejected, SchedulerError
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.jobs.credentials import fields_of, secret_of
from workflow_scheduler.outbound.slack_api import SlackApi

name = "slack"
title = "Post to Slack"
inline = False
needs_code_allowance = False
DEFAULT_SECRET = "SLACK_BOT_TOKEN"  # noqa: S105 - the name of a secret
EVENT_TYPE = "workflow_scheduler_job"
SEARCHED_SECONDS = 86_400
examples = (
    {"connection": "chat", "channel": "C0123456789", "text": "The report is ready."},
    {
        "connection": "chat",
        "channel": "#ops",
        "text": "Failed",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*Failed*"}}],
        "thread_ts": "1700000000.000100",
    },
)
_NAMESPACE = uuid.UUID("6f1f3f0c-5c5b-4f0e-9d4e-0d6f3f2f8a11")


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Stamp = Annotated[str, BeforeValidator(_text, json_schema_input_type=str), Field(pattern=r"^\d{1,12}\.\d{1,12}$")]


class Config(ClosedConfig):
    """The message and where it goes."""

    connection: Line | None = Field(default=None, title="Connection", description="Name of a connection of kind slack.")
    secret: Line | None = Field(
        default=None, title="Secret", description="Secret with the bot token, instead; SLACK_BOT_TOKEN by default."
    )
    channel: Line = Field(title="Channel", description="Id (C…, G…, D…, U…) or #name.")
    text: str | None = Field(
        default=None, title="Text", description="The message, and what notifications show of blocks.", max_length=40_000
    )
    blocks: list[dict[str, Any]] | None = Field(
        default=None, title="Blocks", description="Block Kit blocks, at most 50.", max_length=50
    )
    thread_ts: Stamp | None = Field(default=None, title="Thread", description="`ts` of the message to answer.")
    reply_broadcast: bool = Field(
        default=False, title="Broadcast", description="Show an answer in a thread in the channel as well."
    )
    update: Stamp | None = Field(default=None, title="Update", description="`ts` of the message to change.")
    unfurl_links: bool = Field(default=True, title="Unfurl links", description="Show previews of links.")

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if self.connection is not None and self.secret is not None:
            message = "write either `connection` or `secret`"
            raise ValueError(message)
        if not self.text and not self.blocks:
            message = "write `text` or `blocks`"
            raise ValueError(message)
        if self.update is not None and (self.thread_ts is not None or self.reply_broadcast):
            message = "`update` changes a message where it is; leave `thread_ts` and `reply_broadcast` out"
            raise ValueError(message)
        return self


async def run(config: Config, context: JobContext) -> dict[str, Any]:
    """Post, or change, the message."""
    workspace = await _workspace(config, context)
    api = SlackApi(context.resources.outbound, workspace, context.idempotency_key, context.now())
    if config.update is not None:
        answer = await api.post("chat.update", {**_content(config), "channel": config.channel, "ts": config.update})
        return {"channel": answer.get("channel", config.channel), "ts": answer.get("ts"), "already": False}
    if context.attempt > 1:
        known = await _posted(api, config, context)
        if known is not None:
            return {"channel": config.channel, "ts": known, "already": True}
    body: dict[str, Any] = {
        **_content(config),
        "channel": config.channel,
        "unfurl_links": config.unfurl_links,
        "client_msg_id": str(uuid.uuid5(_NAMESPACE, f"{context.tenant_id}:{context.idempotency_key}")),
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": context.idempotency_key}},
    }
    if config.thread_ts is not None:
        body["thread_ts"] = config.thread_ts
        body["reply_broadcast"] = config.reply_broadcast
    answer = await api.post("chat.postMessage", body)
    return {"channel": answer.get("channel", config.channel), "ts": answer.get("ts"), "already": False}


def retryable(error: Exception) -> bool:
    """Return whether the failure may pass by itself."""
    return isinstance(error, SchedulerError) and error.retryable


def _content(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if config.text is not None:
        found["text"] = config.text
    if config.blocks is not None:
        found["blocks"] = config.blocks
    return found


async def _posted(api: SlackApi, config: Config, context: JobContext) -> str | None:
    """Return the `ts` of the message if an earlier attempt has posted it.

    Raises:
        SchedulerError: Slack cannot be asked for the moment, so nothing is posted either.

    """
    query: dict[str, Any] = {"channel": config.channel, "include_all_metadata": "true", "limit": 200}
    query["oldest"] = f"{context.now() // SECOND_US - SEARCHED_SECONDS}.000000"
    method = "conversations.history"
    if config.thread_ts is not None:
        method, query["ts"] = "conversations.replies", config.thread_ts
    try:
        answer = await api.get(method, query)
    except Rejected as error:
        context.log(f"cannot look whether the message was posted before: {error.detail}", "system")
        return None
    for message in answer.get("messages", ()):
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload") or {}
        if metadata.get("event_type") == EVENT_TYPE and payload.get("key") == context.idempotency_key:
            return str(message["ts"])
    return None


async def _workspace(config: Config, context: JobContext) -> Slack:
    if config.connection is not None:
        return await fields_of(context, config.connection, Slack)
    token = await secret_of(context, config.secret or DEFAULT_SECRET)
    try:
        return Slack(token=token)
    except ValueError as error:
        raise Rejected(f"the secret `{config.secret or DEFAULT_SECRET}` holds no Slack token") from error

"""Socket Mode: Slack hands its events over on a WebSocket that the app opens, so that no public address is needed.

Source: https://docs.slack.dev/apis/events-api/using-socket-mode (envelopes, acknowledgement, `disconnect`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

import msgspec

from workflow_scheduler.core.errors import BadRequest, NotConnected, Rejected, Unavailable
from workflow_scheduler.core.inbound.slack_history import Ask, Hear
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.core.ports.sources import Received, SourceIO, WebSocket, WebSocketRequest
from workflow_scheduler.core.registry import PushRequest

MESSAGE_BYTES_MAX = 4 << 20
PATH = "/slack/socket"
_encode = msgspec.json.encode


class _Envelope(msgspec.Struct):
    type: str = ""
    envelope_id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


async def listen(connection: str, io: SourceIO, ask: Ask, hear: Hear) -> AsyncGenerator[Received]:
    """Read envelopes, from one socket after the other; each is acknowledged after it is stored.

    Raises:
        Rejected: the connection has no app token, or Slack does not take it.
        RetryAfter, NotConnected: as Slack says.

    """
    fields = await io.connection(connection, Slack)
    if fields.app_token is None:
        raise Rejected(
            f"the connection `{connection}` has no app token",
            fix="Give it `app_token`: an app-level token (xapp-…) with the scope connections:write.",
        )
    app = fields.model_copy(update={"token": fields.app_token})
    while True:
        try:
            address = (await ask(app).post("apps.connections.open", {})).get("url")
        except Unavailable as error:
            raise NotConnected(error.detail) from error
        if not isinstance(address, str):
            raise NotConnected("Slack gave no address to connect to")
        async with io.websocket(WebSocketRequest(url=address, message_bytes_max=MESSAGE_BYTES_MAX)) as socket:
            async for piece in _read(socket, io, hear):
                yield piece


async def _read(socket: WebSocket, io: SourceIO, hear: Hear) -> AsyncIterator[Received]:
    """Read one socket until Slack says that it will close it; what was not acknowledged comes again on the next."""
    while True:
        message = await socket.receive()
        try:
            one = msgspec.json.decode(message, type=_Envelope)
        except msgspec.MsgspecError:
            continue
        io.alive()
        if one.type == "disconnect":
            return
        if one.envelope_id is None:
            continue
        headers = {"content-type": "application/json"}
        try:
            heard = hear(PushRequest("POST", PATH, "", headers, bytes(one.payload), io.now()))
        except BadRequest:
            heard = []
        yield Received(heard=heard, ack=partial(socket.send, _encode({"envelope_id": one.envelope_id}).decode()))

"""What brokers carry, as JSON: messages are bytes, and nobody says what they mean."""

from __future__ import annotations

import base64

import msgspec


def text_of(value: bytes) -> str:
    """Return UTF-8 as it is, other bytes as base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def json_of(value: bytes) -> bytes:
    """Return JSON as it is, in its shortest form; other text as a JSON text, other bytes as one in base64."""
    try:
        return msgspec.json.encode(msgspec.json.decode(value))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return msgspec.json.encode(text_of(value))

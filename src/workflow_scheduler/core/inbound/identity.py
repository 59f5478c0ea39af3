"""Names that stay the same: of what a source hears, and of items that bring no id of their own."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

LABEL_CHARACTERS_MAX = 200
KEY_CHARACTERS_MAX = 500


def digest(*parts: Any) -> str:
    """Return twelve hexadecimal digits that stand for these JSON values, whatever the order of their keys."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:12]


def source_key(label: str, *parts: Any) -> str:
    """Return the key of a source: a label that people recognise, and a digest of everything that tells it apart."""
    shown = "".join(char if char.isprintable() and char.isascii() else "_" for char in label[:LABEL_CHARACTERS_MAX])
    return f"{shown}#{digest(label, *parts)}" if parts else shown


def item_key(*parts: Any) -> str:
    """Return the event key of an item for its id and version; long or unprintable ones are replaced by a digest."""
    texts = [part if isinstance(part, str) else msgspec.json.encode(part).decode() for part in parts]
    key = "@".join(texts)
    if len(key) <= KEY_CHARACTERS_MAX and key.isascii() and key.isprintable():
        return key
    return f"sha256:{hashlib.sha256(msgspec.json.encode(texts)).hexdigest()}"

"""Log lines: structured, as text for people or JSON for machines, with secrets taken out."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

HIDDEN = "[hidden]"
_SECRET_WORDS = ("secret", "password", "passwd", "token", "authorization", "api_key", "apikey", "cookie", "private_key")
_KEY_PREFIX = "wfs_"
_BEARER = "bearer "
_DEPTH_MAX = 6


def configure(level: str = "INFO", style: str = "text", stream: TextIO | None = None) -> None:
    """Send every log line of the program and of its libraries to `stream` (stderr by default).

    `style` is `text` or `json`; `level` is a name that logging knows.
    """
    target = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact,
    ]
    final: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(),
                exception_formatter=structlog.dev.plain_traceback,  # the rich one prints locals, and secrets with them
            )
        ]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final]
    )
    output = logging.StreamHandler(target)
    output.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def redact(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of fields whose names speak of secrets, and keys and tokens wherever they stand."""
    for name, value in line.items():
        line[name] = _hidden(name, value, 0)
    return line


def _hidden(name: str, value: Any, depth: int) -> Any:
    lowered = name.lower().replace("-", "_")
    if value and any(word in lowered for word in _SECRET_WORDS) and not isinstance(value, bool | int | float):
        return HIDDEN
    if isinstance(value, str):
        return _masked(value)
    if depth >= _DEPTH_MAX:
        return value
    if isinstance(value, dict):
        return {key: _hidden(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", inner, depth + 1) for inner in value]
    return value


def _masked(text: str) -> str:
    """Replace API keys and bearer tokens inside a text."""
    lowered = text.lower()
    if _KEY_PREFIX not in lowered and _BEARER not in lowered:
        return text
    words = text.split(" ")
    for place, word in enumerate(words):
        follows_bearer = place > 0 and words[place - 1].lower().endswith("bearer")
        if follows_bearer or _KEY_PREFIX in word.lower():
            words[place] = HIDDEN
    return " ".join(words)

"""Regular expressions of users, run by RE2: the time is linear in the text, whatever the pattern."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

PATTERN_CHARS_MAX = 1_000
TEXT_CHARS_MAX = 100_000
_MEMORY_BYTES = 1 << 20
_CACHED_PATTERNS = 20_000


class Pattern:
    """A compiled regular expression."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        """Compile `text`.

        Raises:
            ValueError: not a regular expression that RE2 knows, or too large.

        """
        if len(text) > PATTERN_CHARS_MAX:
            raise ValueError(f"a regular expression may have at most {PATTERN_CHARS_MAX} characters")
        self.text = text
        self._compiled = _compile(text)

    def search(self, text: str) -> bool:
        """Return whether the pattern occurs anywhere in the first 100,000 characters of `text`."""
        return self._compiled.search(readable(text)) is not None

    def fullmatch(self, text: str) -> bool:
        """Return whether the pattern covers all of `text`; a text beyond 100,000 characters never is."""
        return len(text) <= TEXT_CHARS_MAX and self._compiled.fullmatch(readable(text)) is not None


def readable(text: str) -> str:
    """Return the part of `text` that is searched, with lone surrogates replaced."""
    text = text[:TEXT_CHARS_MAX]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@lru_cache(_CACHED_PATTERNS)
def compile_pattern(text: str) -> Pattern:
    """Return the compiled pattern, from a bounded cache.

    Raises:
        ValueError: not a regular expression that RE2 knows, or too large.

    """
    return Pattern(text)


def _compile(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(text, options)
    except re2.error as error:
        cause = error.args[0] if error.args else ""
        detail = cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)
        raise ValueError(f"`{text}` is not a regular expression (RE2): {detail}") from None
    except UnicodeError:
        raise ValueError("the regular expression holds a character that is not text") from None

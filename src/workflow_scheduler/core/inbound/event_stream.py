"""The parser of server-sent events (HTML Living Standard, section 9.2.6), fed with bytes as they come."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import msgspec

LINE_CHARACTERS_MAX = 4 << 20


class ServerSent(msgspec.Struct, frozen=True):
    """One event. `id` is the one in the event itself, None where it has none; `last_id` the last one of the stream."""

    event: str
    data: str
    id: str | None
    last_id: str


class EventStream:
    """Turns bytes into events. `retry_seconds` is what the server asked for last; `comments` counts heartbeats."""

    def __init__(self, last_id: str = "") -> None:
        """Begin after the event `last_id`."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._begun = False
        self._after_return = False
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id: str | None = None
        self.last_id = last_id
        self.retry_seconds: float | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSent]:
        """Yield the events that `chunk` completes.

        Raises:
            ValueError: an event or a line is larger than LINE_CHARACTERS_MAX.

        """
        for line in self._lines(self._decoder.decode(chunk)):
            found = self._line(line)
            if found is not None:
                yield found
        if len(self._text) + self._size > LINE_CHARACTERS_MAX:
            message = f"an event is larger than {LINE_CHARACTERS_MAX} characters"
            raise ValueError(message)

    def _lines(self, text: str) -> Iterator[str]:
        """Yield whole lines; CR LF, LF and CR end one, also where a chunk ends between CR and LF."""
        if not self._begun and text:
            text = text.removeprefix("\ufeff")
            self._begun = True
        if self._after_return and text.startswith("\n"):
            text = text[1:]
        if text:
            self._after_return = text.endswith("\r")
        *whole, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if whole:
            whole[0] = self._text + whole[0]
            self._text = rest
        else:
            self._text += rest
        yield from whole

    def _line(self, line: str) -> ServerSent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._event = value
        elif field == "data":
            self._data.append(value)
            self._size += len(value)
        elif field == "id" and "\0" not in value:
            self._id = self.last_id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry_seconds = int(value[:9]) / 1000
        return None

    def _dispatch(self) -> ServerSent | None:
        data, event, own = self._data, self._event, self._id
        self._data, self._event, self._id, self._size = [], "", None, 0
        if not data:
            return None
        return ServerSent(event or "message", "\n".join(data), own, self.last_id)

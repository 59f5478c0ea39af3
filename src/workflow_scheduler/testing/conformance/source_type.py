"""What every polled and streaming trigger type must do.

Subclass SourceTypeConformance with a fixture `trigger_type` that gives the module, and SourcePeerConformance with a
fixture `peer` that gives its started server (workflow_scheduler.testing.sources.SourcePeer).
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from workflow_scheduler.core.errors import EndOfSource, NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.ports.sources import Polled, Received
from workflow_scheduler.testing.sources import SourceBench, SourcePeer

KEY_CHARACTERS_MAX = 500
EVENTS = 1_000
FEW = 5
_KNOWN = (NotConnected, RetryAfter, EndOfSource, Rejected)
_WAYS = ("send", "stream", "websocket", "dial", "check", "call")
_NAMES = ("secret", "connection", "credentials", "local_allowed", "dialer", "items")
_NOW = 1_804_000_000_000_000
_PATIENCE_SECONDS = 20.0


class SourceTypeConformance:
    """What can be said of a type without its server."""

    def test_its_key_says_what_is_heard(self, trigger_type: Any) -> None:
        """The key is a text that stays the same, survives storage, and leads the events to the trigger."""
        for example in trigger_type.examples:
            config = trigger_type.Config.model_validate(dict(example.config))
            key = trigger_type.source_key(config)
            assert isinstance(key, str)
            assert 0 < len(key) <= KEY_CHARACTERS_MAX
            assert key.isprintable()
            stored = json.loads(json.dumps(config.model_dump(mode="json", by_alias=True, exclude_unset=True)))
            assert trigger_type.source_key(trigger_type.Config.model_validate(stored)) == key
            assert key in trigger_type.index_keys(config), "events are found under the key of their source"

    def test_it_has_the_method_of_its_shape(self, trigger_type: Any) -> None:
        """A poll is a coroutine with a positive pause, a stream an asynchronous generator."""
        for example in trigger_type.examples:
            config = trigger_type.Config.model_validate(dict(example.config))
            if trigger_type.shape == "poll":
                assert inspect.iscoroutinefunction(trigger_type.poll)
                assert trigger_type.poll_seconds(config) > 0
            else:
                assert inspect.isasyncgenfunction(trigger_type.open)
                silence = getattr(trigger_type, "silence_seconds", lambda _: None)(config)
                assert silence is None or silence > 0

    @pytest.mark.parametrize("error", [NotConnected, Rejected], ids=["away", "refused"])
    async def test_it_says_what_is_wrong_in_words_that_are_known(self, trigger_type: Any, error: Any) -> None:
        """Whatever it is refused, a type raises one of the four errors of sources, with a sentence."""
        for example in trigger_type.examples:
            config = trigger_type.Config.model_validate(dict(example.config))
            io = NothingIO(error("the way out is closed"))
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await _once(trigger_type, config, io)
            except _KNOWN as known:
                assert known.detail  # noqa: PT017 -- a type without a peer may come back with nothing instead


class NothingIO:
    """Refuses everything with one error; time stands still."""

    tenant_id = "local"
    public_url = "https://flows.example.test"

    def __init__(self, error: Exception) -> None:
        """Raise `error` for every way out, every secret and every connection."""
        self.kept: dict[str, Any] = {}
        self._error = error

    def now(self) -> int:
        """Return an instant."""
        return _NOW

    async def sleep(self, _seconds: float) -> None:
        """Do not wait: there is nothing to wait for."""
        raise self._error

    def alive(self, *, lag: int | None = None) -> None:
        """Take no note."""

    def expires(self, at: int) -> None:
        """Take no note."""

    def __getattr__(self, name: str) -> Any:
        """Return something that raises, for everything else that can be asked."""
        if name not in (*_WAYS, *_NAMES):
            raise AttributeError(name)
        return self._refuse if name not in {"stream", "websocket"} else self._refuse_at_once

    async def _refuse(self, *_: Any, **__: Any) -> Any:
        raise self._error

    def _refuse_at_once(self, *_: Any, **__: Any) -> Any:
        raise self._error


async def _once(module: Any, config: Any, io: Any) -> Polled | Received | None:
    if module.shape == "poll":
        page: Polled = await module.poll(config, None, io)
        return page
    feed: AsyncIterator[Received] = module.open(config, None, io)
    return await anext(feed)


class SourcePeerConformance:
    """What a type must do with its real server, inside the real service."""

    # As after `kill -9` nothing is let go: a connection that was just being made is left to the collector.
    @pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
    async def test_a_thousand_events_a_crash_and_an_outage_give_a_thousand_runs(
        self, peer: SourcePeer, tmp_path: Path
    ) -> None:
        """Whatever is published is run once: over a crash in the middle, and over a server that was cut off."""
        numbers = list(range(EVENTS))
        async with SourceBench(tmp_path, peer, **getattr(peer, "settings", {})) as bench:
            await bench.until(lambda: _works(bench), "the connection")
            await peer.publish(numbers[:FEW])
            await bench.heard(FEW)
            publishing = asyncio.ensure_future(peer.publish(numbers[FEW : EVENTS // 2]))
            await bench.heard(FEW * 4)
            await bench.crash()
            await publishing
            await bench.start()
            await bench.heard(EVENTS // 2)
            await peer.cut()
            await bench.until(lambda: _fails(bench), "the outage")
            await peer.restore()
            await peer.publish(numbers[EVENTS // 2 :])
            found = await bench.heard(EVENTS)
            assert {number: count for number, count in found.items() if count != 1} == {}
            assert set(found) == set(numbers)
            await bench.until(lambda: _works(bench), "the connection")
            source = (await bench.health())["source"]
            assert source["last_event_at"] is not None
            assert source["error"] is None


async def _works(bench: SourceBench) -> bool:
    source = (await bench.health())["source"]
    return bool(source["connected"])


async def _fails(bench: SourceBench) -> bool:
    source = (await bench.health())["source"]
    return source["error"] is not None and bool(source["error"]["message"])

"""Files that are made, changed or removed in a folder of the machine that the service runs on.

The folder is looked through when the system tells of a change in it, and every so often besides: network drives, and
systems that watch no more folders, tell nothing. A file counts once its size and its time of change have stood still
for `settle`, so that one which is still being written is not heard half-way. What changed while nobody looked is found
at the next look: of several changes the last. A folder that is away is an outage; its files are not taken for removed.
Links do not count. Files of the machine may be used only where code is allowed.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path, PurePath
from stat import S_ISREG
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import msgspec
import structlog
from pydantic import AfterValidator, Field

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.inbound.content import text_of
from workflow_scheduler.core.inbound.identity import item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.fields import Texts
from workflow_scheduler.core.match.glob import compile_globs
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import SECOND_US, to_iso

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

name = "file"
title = "Files"
icon = "file"
shape = "stream"
since = "0.2"
extras = ""

FILES_MAX = 20_000
PAGE = 500
SILENCE_SECONDS = 300.0
GATHER_MS, STEP_MS = 1_000, 200
_WAY = (
    False,
    False,
    0,
    True,
    True,
)  # no debugging, no polling, its pause; subfolders; those that may not be read are not
TURN_MS = 10_000  # a thread is held no longer: there are as many as sources may have at once
UNWATCHED_FIX = "Changes are found every so often; raise fs.inotify.max_user_watches and max_user_instances."
_encode = msgspec.json.encode
_log = structlog.get_logger(__name__)
Kind = Literal["created", "modified", "deleted"]
Facts = tuple[int, int]
Changed = tuple[Kind, str, Facts]


def _absolute(value: str) -> str:
    if not PurePath(value).is_absolute() or ".." in PurePath(value).parts:
        message = "must be an absolute path, without `..`"
        raise ValueError(message)
    return value


def _globs(value: tuple[str, ...]) -> tuple[str, ...]:
    compile_globs(value)
    return value


class Config(BaseConfig):
    """Which files of which folder count, and when."""

    folder: Annotated[str, AfterValidator(_absolute), Field(max_length=2_000)] = Field(
        title="Folder", description="The absolute path.", json_schema_extra={"ui": {"placeholder": "/srv/incoming"}}
    )
    patterns: Annotated[Texts, AfterValidator(_globs)] = Field(
        default=("**",),
        title="Patterns",
        description="Which paths within the folder count: `*.csv`, `**/*.csv`; those with `!` are left out.",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "**/*.csv"}},
    )
    events: tuple[Kind, ...] = Field(
        default=("created",), min_length=1, title="Events", description="created, modified, deleted."
    )
    every: Duration = Field(
        default=5.0,
        ge=1,
        le=86_400,
        title="Every",
        description="The longest pause between two looks, where the system does not tell of changes: 5s.",
    )
    settle: Duration = Field(
        default=2.0, ge=0, le=86_400, title="Settle", description="How long a file must have stood still: 2s."
    )
    content: Literal["none", "text", "base64"] = Field(
        default="none", title="Content", description="Whether the event holds what is in the file, and how."
    )
    max_bytes: int = Field(
        default=262_144, ge=1, le=1_000_000, title="Size", description="Larger files come without their content."
    )
    start: Literal["latest", "earliest"] = Field(
        default="latest", title="Start", description="latest: files that are there at first do not count."
    )


class Cursor(msgspec.Struct):
    """What is known: of each file `[time of change in ns, size]`; of those that have not settled also since when."""

    begun: bool = False
    known: dict[str, Facts] = {}
    moving: dict[str, tuple[int, int, int]] = {}


examples = (
    Example(
        title="Tables that somebody puts there",
        config={"folder": "/srv/incoming", "patterns": ["**/*.csv"], "settle": "5s"},
        event={
            "type": "file.created",
            "data": {
                "path": "shop/orders.csv", "name": "orders.csv", "folder": "/srv/incoming", "size": 1042,
                "modified_at": "2027-01-05T12:00:00Z", "content": None,
            },
            "attributes": {"event": "created", "path": "shop/orders.csv"},
        },
    ),
)  # fmt: skip


def source_key(config: Config) -> str:
    """Return the folder, and what counts in it."""
    what = (config.patterns, config.events, config.settle, config.content, config.max_bytes)
    return key_of(config.folder, *what)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: what does not count is not heard; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:
    """Return after what silence the folder is taken for away: as long as looks at it may rest and last."""
    return config.every + SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Look through the folder whenever something may have changed in it."""
    state = Cursor() if position is None else msgspec.convert(position, Cursor)
    with _Watch(config.folder, io) as watch:
        while True:
            if not await io.local_allowed():
                raise Rejected(
                    "files of this machine may not be used by this tenant",
                    fix="Allow code: WFS_ALLOW_CODE and `workflow-scheduler tenant set`.",
                )
            await watch.begin()  # before the look: what changes during it is told
            found = await io.call(partial(_scan, config))
            io.alive()
            for page in _pages(config, state, found, io.now()):
                heard = await io.call(partial(_heard_all, config, page))
                _remember(state, page)
                yield Received(heard=heard, position=msgspec.to_builtins(state))
            await watch.wait(_pause(config, state, io.now()))


class _Watch:
    """Waits for what the system tells of a folder; where it tells nothing, the time counts alone."""

    def __init__(self, folder: str, io: SourceIO) -> None:
        self._folder = folder
        self._io = io
        self._over = Event()
        self._notify: RustNotify | None = None
        self._watched: tuple[int, int] | None = None
        self._refused = False
        self._told: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._end()

    async def begin(self) -> None:
        """Ask the system to tell of changes, unless that is under way or was refused.

        What is watched is the folder that was there, not its name: one that has taken its place is watched anew.
        """
        if self._refused:
            return
        there = await self._io.call(partial(_identity, self._folder))
        if there is None or there == self._watched:
            return  # where there is none, the look says so
        self._end()
        from watchfiles._rust_notify import RustNotify

        try:
            self._notify = await self._io.call(partial(RustNotify, [self._folder], *_WAY))
            self._watched = there
        except (OSError, RuntimeError) as error:
            self._unwatched(error)

    def _end(self) -> None:
        self._over.set()  # the thread ends within STEP_MS
        self._over, self._notify = Event(), None
        told, self._told = self._told, None
        if told is not None and not told.cancel():
            told.exception()

    async def wait(self, seconds: float) -> None:
        """Return when something has changed, at the latest after `seconds`."""
        resting = asyncio.ensure_future(self._io.sleep(seconds))
        try:
            while not resting.done():
                self._listen()
                waited = {resting} if self._told is None else {resting, self._told}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if self._changed():
                    return
            resting.result()
        finally:
            resting.cancel()

    def _listen(self) -> None:
        if self._told is None and self._notify is not None:
            listening = partial(self._notify.watch, GATHER_MS, STEP_MS, TURN_MS, self._over)
            self._told = asyncio.ensure_future(self._io.call(listening))

    def _changed(self) -> bool:
        """Return whether a change was told; listen no more once the system has refused to tell."""
        if self._told is None or not self._told.done():
            return False
        told, self._told = self._told, None
        error = told.exception()
        if error is not None:
            self._unwatched(error)
        return error is None and isinstance(told.result(), set)

    def _unwatched(self, error: BaseException) -> None:
        self._notify, self._refused = None, True
        _log.warning("file.unwatched", folder=self._folder, error=str(error), fix=UNWATCHED_FIX)


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        facts = Path(folder).stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _pause(config: Config, state: Cursor, now: int) -> float:
    """Return how long until the next look: until the first of the files that move may have settled."""
    waits = [since / SECOND_US + config.settle - now / SECOND_US for *_, since in state.moving.values()]
    return min([config.every, *(max(one, STEP_MS / 1_000) for one in waits)])


def _pages(config: Config, state: Cursor, found: dict[str, Facts], now: int) -> Iterator[list[Changed]]:
    """Yield what is to be stored of a look, in portions; an empty one where something is only to be remembered."""
    first, state.begun = not state.begun, True
    if first and config.start == "latest":
        state.known = found
        yield []
        return
    changes = _settled(config, state, found, now)
    wanted = [one for one in changes if one[0] in config.events]
    others = [one for one in changes if one[0] not in config.events]
    _remember(state, others)  # the next change is told from them
    if others and not wanted:
        yield []
    for start in range(0, len(wanted), PAGE):
        yield wanted[start : start + PAGE]


def _remember(state: Cursor, page: list[Changed]) -> None:
    for kind, path, facts in page:
        if kind == "deleted":
            state.known.pop(path, None)
        else:
            state.known[path] = facts
        state.moving.pop(path, None)


def _scan(config: Config) -> dict[str, Facts]:
    """Return time of change and size of each file that counts, by its path within the folder; blocks.

    Raises:
        NotConnected: the folder is not there, or cannot be read.
        Rejected: there are too many files.

    """
    globs = compile_globs(config.patterns)
    found: dict[str, Facts] = {}

    def away(error: OSError) -> None:
        if error.filename == config.folder:
            raise NotConnected(f"{config.folder} cannot be read: {error.strerror}") from error

    for folder, _, names in os.walk(config.folder, onerror=away):
        within = PurePath(folder).relative_to(config.folder)
        for one in names:
            path = (within / one).as_posix()
            if not globs.matches(path):
                continue
            try:
                facts = os.lstat(Path(folder, one))
            except OSError:
                continue  # it was removed meanwhile
            if S_ISREG(facts.st_mode):
                found[path.encode("utf-8", "replace").decode()] = (facts.st_mtime_ns, facts.st_size)
        if len(found) > FILES_MAX:
            raise Rejected(
                f"more than {FILES_MAX:,} files count, too many to remember",
                fix="Narrow `patterns`, or clear the folder.",
            )
    return found


def _settled(config: Config, state: Cursor, found: dict[str, Facts], now: int) -> list[Changed]:
    """Return what has happened to files that stand still, in the order of its time; note those that do not yet."""
    changes: list[Changed] = []
    moving: dict[str, tuple[int, int, int]] = {}
    for path, facts in found.items():
        if state.known.get(path) == facts:
            continue
        before = state.moving.get(path)
        since = before[2] if before is not None and before[:2] == facts else now
        if now - since >= config.settle * SECOND_US:
            kind: Kind = "modified" if path in state.known else "created"
            changes.append((kind, path, facts))
        moving[path] = (*facts, since)
    changes += [("deleted", path, facts) for path, facts in state.known.items() if path not in found]
    state.moving = moving
    return sorted(changes, key=lambda one: (one[2][0], one[1]))


def _heard_all(config: Config, changes: list[Changed]) -> list[Heard]:
    return [_heard(config, *one) for one in changes]


def _heard(config: Config, kind: Kind, path: str, facts: Facts) -> Heard:
    at, size = facts
    data = {
        "path": path,
        "name": PurePath(path).name,
        "folder": config.folder,
        "size": size,
        "modified_at": to_iso(at // 1_000),
        "content": None if kind == "deleted" else _content(config, path, size),
    }
    return Heard(
        source="", type=f"file.{kind}", event_key=item_key(f"{kind}:{path}", f"{at}-{size}"), data=_encode(data),
        attributes=_encode({"event": kind, "path": path}), subject=path[:500],
        time=at // 1_000 if kind != "deleted" and at >= 0 else None,
    )  # fmt: skip


def _content(config: Config, path: str, size: int) -> str | None:
    if config.content == "none" or size > config.max_bytes:
        return None
    try:
        with Path(config.folder, path).open("rb") as file:
            content = file.read(config.max_bytes + 1)
    except OSError:
        return None
    if len(content) > config.max_bytes:
        return None
    return text_of(content) if config.content == "text" else base64.b64encode(content).decode()

"""Files that are made, changed or removed in a folder of the machine that the service runs on.

The folder is looked through every so often. A file counts once its size and its time of change have stood still for
`settle`, so that one which is still being written is not heard half-way. What changed while nobody looked is found at
the next look: of several changes the last. A folder that is away is an outage; its files are not taken for removed.
Links are not followed. Files of the machine may be used only where code is allowed.
"""

from __future__ import annotations

import base64
import os
from functools import partial
from pathlib import Path, PurePath
from stat import S_ISREG
from typing import Annotated, Any, Literal

import msgspec
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
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import SECOND_US, to_iso

name = "file"
title = "Files"
icon = "file"
shape = "poll"
since = "0.2"
extras = ""

FILES_MAX = 20_000
PAGE = 500
_encode = msgspec.json.encode
Kind = Literal["created", "modified", "deleted"]


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
    every: Duration = Field(default=5.0, ge=1, le=86_400, title="Every", description="The pause between two looks: 5s.")
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
    known: dict[str, tuple[int, int]] = {}
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


def poll_seconds(config: Config) -> float:
    """Return the pause between two looks."""
    return config.every


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """Look through the folder."""
    if not await io.local_allowed():
        raise Rejected(
            "files of this machine may not be used by this tenant",
            fix="Allow code: WFS_ALLOW_CODE and `workflow-scheduler tenant set`.",
        )
    state = Cursor() if cursor is None else msgspec.convert(cursor, Cursor)
    found = await io.call(partial(_scan, config))
    first, state.begun = not state.begun, True
    if first and config.start == "latest":
        state.known = found
        return Polled(cursor=msgspec.to_builtins(state))
    changes = _settled(config, state, found, io.now())
    page = changes[:PAGE]
    heard = await io.call(partial(_heard_all, config, page))
    for kind, path, (at, size) in page:
        if kind == "deleted":
            state.known.pop(path, None)
        else:
            state.known[path] = (at, size)
        state.moving.pop(path, None)
    return Polled(heard=heard, cursor=msgspec.to_builtins(state), more=len(changes) > PAGE)


def _scan(config: Config) -> dict[str, tuple[int, int]]:
    """Return time of change and size of each file that counts, by its path within the folder; blocks.

    Raises:
        NotConnected: the folder is not there, or cannot be read.
        Rejected: there are too many files.

    """
    globs = compile_globs(config.patterns)
    found: dict[str, tuple[int, int]] = {}

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


def _settled(
    config: Config, state: Cursor, found: dict[str, tuple[int, int]], now: int
) -> list[tuple[Kind, str, tuple[int, int]]]:
    """Return what has happened to files that stand still, in the order of its time; note those that do not yet."""
    changes: list[tuple[Kind, str, tuple[int, int]]] = []
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
    wanted = [one for one in changes if one[0] in config.events]
    for kind, path, facts in changes:
        if kind not in config.events:  # remembered, so that the next change is told from it
            state.moving.pop(path, None)
            if kind == "deleted":
                del state.known[path]
            else:
                state.known[path] = facts
    return sorted(wanted, key=lambda one: (one[2][0], one[1]))


def _heard_all(config: Config, changes: list[tuple[Kind, str, tuple[int, int]]]) -> list[Heard]:
    return [_heard(config, *one) for one in changes]


def _heard(config: Config, kind: Kind, path: str, facts: tuple[int, int]) -> Heard:
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

"""What is particular about folders: when files count, and how changes are heard of with and without the system."""

import asyncio
import os
from contextlib import aclosing

import pytest
import watchfiles._rust_notify
from pydantic import ValidationError
from structlog.testing import capture_logs

from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.sources import LoneIO
from workflow_scheduler.triggers import file

PATIENCE_SECONDS = 30
DAY = 86_400


class RestingClock(FakeClock):
    """A clock that stands still and says when somebody waits for it."""

    def __init__(self):
        super().__init__()
        self.rested = asyncio.Event()

    async def sleep(self, seconds):
        self.rested.set()
        await super().sleep(seconds)


class Looks:
    """A stream of a folder on a clock that stands still."""

    def __init__(self, stream, clock):
        self.stream, self.clock = stream, clock
        self.pieces = []

    async def read(self):
        async for piece in self.stream:
            self.pieces.append(piece)

    async def rest(self):
        """Wait until the folder was looked through, and return what that brought."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            if not self.clock.sleeping:
                await self.clock.rested.wait()
        taken, self.pieces = self.pieces, []
        return taken

    async def pieces_after(self, seconds):
        self.clock.rested.clear()
        await self.clock.advance(seconds)
        return await self.rest()

    async def after(self, seconds):
        return [one.type for piece in await self.pieces_after(seconds) for one in piece.heard]


@pytest.fixture
def untold(monkeypatch):
    """The system refuses to tell of changes, as it does when everything that it may watch is watched."""

    def refuse(*_):
        raise OSError(28, "OS file watch limit reached.")

    monkeypatch.setattr(watchfiles._rust_notify, "RustNotify", refuse)


@pytest.fixture
async def looks(untold, tmp_path):
    made = []

    async def begin(**changes):
        clock = RestingClock()
        given = {"folder": str(tmp_path), "patterns": ("*.csv",), "every": 60, "settle": 2, **changes}
        io = LoneIO(clock)
        stream = file.open(file.Config.model_validate(given), None, await io.__aenter__())
        one = Looks(stream, clock)
        made.append((io, stream, asyncio.create_task(one.read())))
        await one.rest()
        return one

    yield begin
    for io, stream, task in made:
        task.cancel()
        await asyncio.wait((task,))
        await stream.aclose()
        await io.__aexit__(None, None, None)


async def test_a_file_counts_once_it_stands_still_and_changes_and_ends_are_told(looks, tmp_path):
    look = await looks(events=["created", "modified", "deleted"], content="text")
    target = tmp_path / "a.csv"
    target.write_text("1")
    (tmp_path / "b.txt").write_text("left out")
    assert await look.after(60) == []
    target.write_text("12")
    assert await look.after(2) == []  # it has changed meanwhile
    [[heard]] = [piece.heard for piece in await look.pieces_after(2)]
    assert (heard.type, b'"content":"12"' in heard.data) == ("file.created", True)
    os.utime(target, ns=(5, 5))
    assert await look.after(60) == []
    assert await look.after(2) == ["file.modified"]
    target.unlink()
    assert await look.after(60) == ["file.deleted"]
    assert await look.after(60) == []


async def test_what_moves_is_looked_at_again_as_soon_as_it_may_have_settled(looks, tmp_path):
    look = await looks(every=DAY, settle=5)
    (tmp_path / "a.csv").write_text("1")
    assert await look.after(DAY) == []
    assert await look.after(4) == []
    assert await look.after(1) == ["file.created"]


async def test_what_does_not_count_is_remembered_so_that_the_next_change_is_told_from_it(looks, tmp_path):
    look = await looks(events=["modified"], settle=0)
    target = tmp_path / "a.csv"
    target.write_text("1")
    pieces = await look.pieces_after(60)
    assert [(piece.heard, list(piece.position["known"])) for piece in pieces] == [([], ["a.csv"])]
    os.utime(target, ns=(5, 5))
    assert await look.after(60) == ["file.modified"]


async def test_a_system_that_tells_nothing_is_logged_once_with_what_to_do(looks, tmp_path):
    with capture_logs() as logs:
        look = await looks(settle=0)
        (tmp_path / "a.csv").write_text("1")
        assert await look.after(60) == ["file.created"]
    (told,) = [one for one in logs if one["event"] == "file.unwatched"]
    assert (told["error"], "max_user_watches" in told["fix"]) == ("[Errno 28] OS file watch limit reached.", True)


async def first(stream):
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await anext(stream)


async def test_the_system_tells_of_changes_long_before_the_next_look(tmp_path):
    config = file.Config(folder=str(tmp_path), every=DAY, settle=0, events=("created", "modified", "deleted"))
    async with LoneIO() as io, aclosing(file.open(config, None, io)) as stream:
        assert (await first(stream)).heard == []
        (tmp_path / "deep" / "er").mkdir(parents=True)
        target = tmp_path / "deep" / "er" / "a.csv"
        target.write_text("1")
        (heard,) = (await first(stream)).heard
        assert (heard.type, heard.subject) == ("file.created", "deep/er/a.csv")
        os.utime(target, ns=(5, 5))
        assert [one.type for one in (await first(stream)).heard] == ["file.modified"]
        target.unlink()
        assert [one.type for one in (await first(stream)).heard] == ["file.deleted"]


async def test_a_folder_that_took_the_place_of_another_is_watched(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    clock = RestingClock()
    config = file.Config(folder=str(folder), every=DAY, settle=0)
    async with LoneIO(clock) as io, aclosing(file.open(config, None, io)) as stream:
        await first(stream)
        hearing = asyncio.create_task(first(stream))
        await clock.rested.wait()
        folder.rename(tmp_path / "old")
        folder.mkdir()
        clock.rested.clear()
        await clock.advance(DAY)
        if not clock.sleeping:
            await clock.rested.wait()
        (folder / "a.csv").write_text("1")
        assert [one.subject for one in (await hearing).heard] == ["a.csv"]


async def test_what_changed_while_nobody_looked_is_found_from_the_stored_place(tmp_path):
    config = file.Config(folder=str(tmp_path), every=DAY, settle=0)
    (tmp_path / "old.csv").write_text("1")
    async with LoneIO() as io:
        async with aclosing(file.open(config, None, io)) as stream:
            position = (await first(stream)).position
        (tmp_path / "new.csv").write_text("1")
        async with aclosing(file.open(config, position, io)) as stream:
            assert [one.subject for one in (await first(stream)).heard] == ["new.csv"]


async def test_a_folder_that_is_away_is_an_outage(tmp_path):
    async with LoneIO() as io:
        with pytest.raises(NotConnected, match="cannot be read: No such file or directory"):
            await first(file.open(file.Config(folder=str(tmp_path / "away")), None, io))


@pytest.mark.parametrize("given", [{"folder": "a/b"}, {"folder": "/a/../b"}, {"folder": "/a", "patterns": ["!x"]}])
def test_wrong_folders_and_patterns_are_refused(given):
    with pytest.raises(ValidationError):
        file.Config.model_validate(given)

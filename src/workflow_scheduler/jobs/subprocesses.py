"""Child processes: started in a group of their own, read as they print, and ended with everything they started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import IO

import msgspec

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.jobs.leftovers import MARK, guard, service_mark
from workflow_scheduler.jobs.lines import LineSplitter, Tail

TAIL_BYTES = 65_536
DRAIN_SECONDS = 1.0
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL")
_CHUNK = 65_536


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to start. `result` is an open file whose descriptor the child inherits under the same number."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None = None
    stdin: bytes | None = None
    grace_seconds: float = 10.0
    stdout_bytes_max: int = TAIL_BYTES
    result: IO[bytes] | None = None


class ChildEnd(msgspec.Struct, frozen=True):
    """How it ended: the exit code (negative: the signal that ended it) and the tails of what it printed."""

    exit_code: int
    stdout: Tail
    stderr: Tail


def clean_environment(context: JobContext, own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a code job: a few variables of the service, the job's own, and what it is part of.

    The service's other variables (keys, passwords, addresses of databases) are never passed on.
    """
    base = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
    return {
        **base,
        **context.env,
        **own,
        "WFS_RUN_ID": context.run_id,
        "WFS_JOB_ID": context.job_id,
        "WFS_ATTEMPT": str(context.attempt),
        "WFS_IDEMPOTENCY_KEY": context.idempotency_key,
        MARK: service_mark(),
    }


async def run_child(spec: ChildSpec, log: Callable[[str, str], None]) -> ChildEnd:
    """Run a process to its end; `log(line, stream)` gets its lines as they come.

    Whatever the process leaves behind in its group is killed when it ends. On cancellation the group gets SIGTERM,
    then after `grace_seconds` SIGKILL, and only then the cancellation goes on. When the service itself is killed, the
    group is killed as well.

    Raises:
        Rejected: the program, its arguments or the working directory cannot be used.

    """
    if any("\0" in text for text in (*spec.argv, *spec.env, *spec.env.values(), spec.cwd or "")):
        raise Rejected(f"cannot start {spec.argv[0]}: the command or its environment holds a NUL character")
    stdout, stderr = Tail(spec.stdout_bytes_max), Tail(TAIL_BYTES)
    with contextlib.ExitStack() as stack:
        out = _Pipe(stdout, lambda line: log(line, "stdout"))
        stack.callback(out.close)
        err = _Pipe(stderr, lambda line: log(line, "stderr"))
        stack.callback(err.close)
        spawning = asyncio.get_running_loop().create_task(_spawn(spec, out, err))
        try:
            process = await asyncio.shield(spawning)
            code = await process.wait()
        finally:
            # A cancellation may come while the loop still hands the process over: it runs already, so wait for it.
            await _end_group(await spawning, spec.grace_seconds)
        await _drain(out, err)
    return ChildEnd(code, stdout, stderr)


class _Pipe:
    """A pipe that is read on the loop as bytes come; the process gets the writing end.

    The descriptors are closed here and nowhere else: transports of different loops disagree about who closes a file.
    """

    def __init__(self, tail: Tail, emit: Callable[[str], None]) -> None:
        self._tail = tail
        self._lines = LineSplitter(emit)
        self._loop = asyncio.get_running_loop()
        self._read_end, self._write_end = os.pipe()
        self.done: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self._read)

    @property
    def write_end(self) -> int:
        return self._write_end

    def close_write_end(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    def close(self) -> None:
        """Stop reading and hand over the last incomplete line."""
        self.close_write_end()
        if self._read_end >= 0:
            self._loop.remove_reader(self._read_end)
            os.close(self._read_end)
            self._read_end = -1
            self._lines.close()
        if not self.done.done():
            self.done.set_result(None)

    def _read(self) -> None:
        try:
            data = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._tail.feed(data)
        self._lines.feed(data)


async def _spawn(spec: ChildSpec, out: _Pipe, err: _Pipe) -> asyncio.subprocess.Process:
    with _input_file(spec.stdin) as stdin:
        try:
            process = await asyncio.create_subprocess_exec(
                *spec.argv,
                stdin=stdin,
                stdout=out.write_end,
                stderr=err.write_end,
                env=dict(spec.env),
                cwd=spec.cwd,
                start_new_session=True,
                pass_fds=(spec.result.fileno(),) if spec.result else (),
            )
            guard.watch(process.pid)
            return process  # noqa: TRY300 - what follows is for both ways out
        except (OSError, ValueError) as error:
            place = f" in {spec.cwd}" if spec.cwd else ""
            raise Rejected(
                f"cannot start {spec.argv[0]}{place}: {error}", fix="Check `shell`, `cwd` and their permissions."
            ) from error
        finally:
            out.close_write_end()
            err.close_write_end()


@contextlib.contextmanager
def _input_file(data: bytes | None) -> Iterator[IO[bytes] | int]:
    if data is None:
        yield asyncio.subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


async def _end_group(process: asyncio.subprocess.Process, grace_seconds: float) -> None:
    """End what is left of the process and its group."""
    try:
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await process.wait()
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        guard.release(process.pid)
        await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


async def _drain(*pipes: _Pipe) -> None:
    """Read to the end; a process that fled from the group may hold the pipe open, so the wait is bounded."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            for pipe in pipes:
                await pipe.done

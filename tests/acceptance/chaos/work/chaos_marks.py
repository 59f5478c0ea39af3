"""What the jobs of the chaos suite do: each appends `run job` to a file, so that a second execution shows."""

import asyncio
import os


def _append(run, job):
    handle = os.open(os.environ["CHAOS_MARKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, f"{run} {job}\n".encode())
    finally:
        os.close(handle)
    return {"run": run, "job": job}


async def mark(run, job):
    """Append on the event loop, in two turns of it."""
    found = _append(run, job)
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.005, future.set_result, None)
    await future
    return found


async def mark_slowly(run, job):
    """Append, and take two seconds more."""
    found = _append(run, job)
    await asyncio.sleep(2)  # noqa: TID251 -- a job of a user, which knows no Clock
    return found


def mark_in_thread(run, job):
    """Append in a thread."""
    return _append(run, job)


def die(run, job):
    """End the process of the service."""
    _append(run, job)
    os._exit(1)

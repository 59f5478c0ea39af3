"""What this machine can do at all, in the same minute: durable writes, and HTTP without anything behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

APP = """
import asyncio, sys, uvloop, uvicorn, socket
HEAD = {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"{}"}
async def app(scope, receive, send):
    await receive()
    await send(HEAD)
    await send(BODY)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(4096)
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, loop="none", http="httptools", lifespan="off", log_config=None, access_log=False,
                        proxy_headers=False, server_header=False, date_header=False)
uvloop.run(uvicorn.Server(config).serve([listener]))
"""


def fdatasyncs_per_second(seconds: float = 1.0) -> float:
    """Return how many 4 kB appends, each made durable, the disk takes in a second."""
    with tempfile.NamedTemporaryFile(dir=Path.cwd().parent) as file:
        page = os.urandom(4096)
        number = file.fileno()
        count = 0
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            os.write(number, page)
            os.fdatasync(number)
            count += 1
        return count / (time.perf_counter() - begin)


def bare_asgi_per_second(body: str, requests: int = 40_000, connections: int = 128) -> float:
    """Return what the same load generator gets from an ASGI application that does nothing."""
    with subprocess.Popen([sys.executable, "-c", APP], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        command = [sys.executable, "-m", "bench.load", "--port", port, "--path", "/", "--body", body]
        command += ["--requests", str(requests), "--connections", str(connections)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        process.kill()
    return float(found["per_second"])

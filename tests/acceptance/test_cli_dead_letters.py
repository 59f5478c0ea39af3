"""Dead letters on the command line: an engine that refuses, then one that takes the run."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

REMOTE = "version: 1\nname: remote\nengine: http\ntriggers: {by-hand: {type: manual}}\njobs: {a: {uses: noop}}\n"


@pytest.fixture
def engine():
    """An engine that refuses runs for good while `refuses` is true."""
    state = SimpleNamespace(refuses=True, started=[])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if not state.refuses:
                state.started.append(json.loads(body or b"{}"))
            self._say(422 if state.refuses else 200, {"execution_id": f"x{len(state.started)}", "status": "RUNNING"})

        def do_GET(self):
            self._say(200, {"workflows": [], "next": None, "execution_id": "x1", "status": "SUCCEEDED"})

        def _say(self, status, value):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def wfs(tmp_path, start, command, engine):
    data = str(tmp_path / "data")
    process, url = start(tmp_path, "up", "--port", "0", "--data", data, WORKFLOW_ENGINE_URL=engine.url)
    yield lambda *arguments: command(*arguments, cwd=tmp_path, WFS_SERVER=url)
    process.terminate()
    process.wait(30)
    process.stdout.close()


def test_what_an_engine_refuses_can_be_looked_at_put_back_and_discarded(tmp_path, wfs, engine):
    (tmp_path / "remote.yaml").write_text(REMOTE)
    done = wfs("deploy", "remote.yaml")
    assert done.code == 0, done.err
    for _ in range(2):
        assert wfs("run", "remote", "--wait").code == 1
    found = wfs("dead", "ls", "--json").json["items"]
    assert [one["reason"] for one in found] == ["engine_refused", "engine_refused"]
    assert "engine_refused" in wfs("dead", "ls").out
    assert "engine_refused" in wfs("dead", "show", found[0]["id"]).out
    assert wfs("dead", "discard", found[0]["id"], "--json").json["items"][0]["status"] == "discarded"
    assert wfs("dead", "replay", "--all", "--dry-run", "--json").json["count"] == 1
    engine.refuses = False
    assert wfs("dead", "replay", found[1]["id"], "--json").json["items"][0]["status"] == "redriven"
    assert wfs("dead", "ls", "--json").json["items"] == []
    run = found[1]["run_id"]
    assert wfs("runs", "watch", run, "--timeout", "1s").code in (0, 7)
    assert len(engine.started) == 1
    assert wfs("dead", "discard", found[0]["id"]).code == 5

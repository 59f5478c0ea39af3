"""The client against a server that answers what a test says."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workflow_scheduler.cli.session import Session
from workflow_scheduler.client.http import Client, segment
from workflow_scheduler.core import errors


class Server:
    """Keeps requests, and gives the answers in `script` in their order: (status, headers, body)."""

    def __init__(self):
        self.requests = []
        self.script = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((self.command, self.path, headers, body))
                status, more, content = outer.script.pop(0)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 -- names of the base class

            def log_message(self, *arguments):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def says(self, status, value, **headers):
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.script.append((status, headers, content))


@pytest.fixture
def server():
    with Server() as running:
        yield running


def test_a_get_sends_the_query_and_the_key(server):
    server.says(200, {"items": [], "next": None})
    Client(server.url, "wfs_key").get("/api/v1/runs", limit=5, cursor=None, force=True, since="a b&c")
    method, path, headers, _ = server.requests[0]
    assert (method, path) == ("GET", "/api/v1/runs?limit=5&force=true&since=a+b%26c")
    assert headers["authorization"] == "Bearer wfs_key"


def test_a_post_sends_json_and_its_idempotency_key(server):
    server.says(202, {"run_id": "r"})
    assert Client(server.url).post("/x", {"a": 1}, idempotency_key="k") == {"run_id": "r"}
    _, _, headers, body = server.requests[0]
    assert (json.loads(body), headers["idempotency-key"], headers["content-type"]) == (
        {"a": 1},
        "k",
        "application/json",
    )
    assert "authorization" not in headers


def test_a_base_path_of_a_gateway_is_kept(server):
    server.says(204, b"")
    assert Client(f"{server.url}/scheduler/").delete(f"/api/v1/keys/{segment('a/b?')}") is None
    assert server.requests[0][1] == "/scheduler/api/v1/keys/a%2Fb%3F"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not_found", errors.NotFound),
        (401, "signature_invalid", errors.SignatureInvalid),
        (422, "definition_invalid", errors.DefinitionInvalid),
        (409, "conflict", errors.Conflict),
        (405, "method_not_allowed", errors.MethodNotAllowed),
        (503, "store_unavailable", errors.StoreUnavailable),
        (403, "a_code_of_a_later_version", errors.Forbidden),
        (500, "another", errors.SchedulerError),
    ],
)
def test_problem_documents_become_the_errors_they_describe(server, status, code, kind):
    field = {"field": "a", "message": "wrong", "line": 3, "column": 4}
    server.says(status, {"code": code, "detail": "what", "fix": "do this", "errors": [field, "nonsense"]})
    with pytest.raises(errors.SchedulerError) as caught:
        Client(server.url).get("/x")
    assert type(caught.value) is kind
    assert (caught.value.detail, caught.value.fix) == ("what", "do this")
    if kind is not errors.MethodNotAllowed:
        assert caught.value.errors == (errors.FieldError("a", "wrong", line=3, column=4),)


def test_an_error_without_a_problem_document_is_named_by_its_status(server):
    server.says(502, b"<html>bad gateway</html>")
    with pytest.raises(errors.SchedulerError, match="502"):
        Client(server.url).get("/x")


def test_an_answer_that_is_no_json_comes_from_somebody_else(server):
    server.says(200, b"<html>hello</html>")
    with pytest.raises(errors.NotConnected, match="not the service"):
        Client(server.url).get("/x")


def test_nobody_at_the_address():
    with pytest.raises(errors.NotConnected, match="cannot reach") as caught:
        Client("http://127.0.0.1:9").get("/x")
    assert "workflow-scheduler up" in caught.value.fix


@pytest.mark.parametrize("address", ["127.0.0.1:8003", "ftp://host", "http://", "http://host:port", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(errors.BadRequest):
        Client(address)


def test_a_stream_yields_items_and_leaves_resets_and_comments_out(server):
    content = (
        b"retry: 2000\n: connected\n\nevent: reset\ndata: {}\n\n: still here\n\n"
        b'id: 1\nevent: event.accepted\ndata: {"id": 1}\n\nid: 2\nevent: x\ndata: {"id": 2}\n\n'
    )
    server.says(200, content, **{"content-type": "text/event-stream"})
    assert list(Client(server.url).stream("/api/v1/stream", last_id="7", topics="events")) == [{"id": 1}, {"id": 2}]
    assert server.requests[0][2]["last-event-id"] == "7"


def test_a_refused_stream_is_an_error(server):
    server.says(401, {"code": "unauthenticated", "detail": "no key"})
    with pytest.raises(errors.Unauthenticated, match="no key"):
        list(Client(server.url).stream("/x"))


def test_lists_follow_short_pages_up_to_their_limit(server):
    server.says(200, {"items": [1], "next": "a"})
    server.says(200, {"items": [], "next": "b"})
    server.says(200, {"items": [2, 3], "next": "c"})
    assert Session(server.url).collect("/x", 3) == {"items": [1, 2, 3], "next": "c"}
    assert [path for _, path, _, _ in server.requests] == [
        "/x?limit=3", "/x?limit=2&cursor=a", "/x?limit=2&cursor=b",
    ]  # fmt: skip


def test_everything_of_a_list(server):
    server.says(200, {"items": [1, 2], "next": "a"})
    server.says(200, {"items": [3], "next": None})
    assert list(Session(server.url).every("/x", workflow="w")) == [1, 2, 3]

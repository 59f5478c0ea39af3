"""GitHub's API for webhooks, by its documented rules: a token, pages by `Link`, limits, deliveries that are kept.

Rules: https://docs.github.com/en/rest/repos/webhooks (list deliveries, get a delivery) and
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

import datetime as dt
import itertools
import json
import time
import uuid

from aiohttp import web

from workflow_scheduler.core.inbound.github_missed import ENDPOINT
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.triggers import github

TOKEN = "ghp_of_the_test"
SECRET = "what GitHub signs with"
PAGE = 30
HOOK = 42


class GitHub:
    """The server with one repository and its hook; `send` delivers as GitHub does, and never again by itself."""

    type = "github"
    repository = "acme/billing"
    hook_url = "https://flows.example.test/api/v1/github/webhook"

    def __init__(self):
        self.secrets = {"gh": SECRET}
        self.port = 0
        self.kept = []
        self.refusals = []
        self.files = []
        self.behind = 0
        self.asked = []
        self.made = []
        self.may_manage = True
        self._ids = itertools.count(1000)
        self._runner = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self):
        return {"hub": {"kind": "http", "fields": {"auth": "bearer", "secret": TOKEN, "url": self.url}}}

    async def start(self):
        app = web.Application(middlewares=[self._guard])
        base = "/{scope:repos/acme/billing|orgs/acme}/hooks"
        app.router.add_get(base, self._hooks)
        app.router.add_post(base, self._make_hook)
        app.router.add_patch(base + "/{hook}", self._change_hook)
        app.router.add_get(base + "/{hook}/deliveries", self._deliveries)
        app.router.add_get(base + "/{hook}/deliveries/{id}", self._delivery)
        repository = "/repos/acme/billing"
        app.router.add_get(repository + "/compare/{range}", self._compare)
        app.router.add_get(repository + "/pulls/{number}/files", self._pull_files)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self):
        await self._runner.cleanup()

    def config(self):
        return {"type": "github", "repository": self.repository, "secret": "gh", "connection": "hub"}

    def number(self, data):
        return data["number"]

    async def send(self, http, number, guid=None, age_seconds=120):
        """Deliver one event to the service, or to nobody where `http` is None; keep what became of it."""
        payload = {"action": "opened", "number": number, "repository": {"full_name": self.repository}}
        return await self.deliver(http, "issues", payload, guid, age_seconds)

    async def deliver(self, http, event, payload, guid=None, age_seconds=120):
        """Deliver any event."""
        body = json.dumps(payload, indent=1).encode()
        guid = guid or str(uuid.uuid4())
        headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": guid, "Content-Type": "application/json"}
        request = PushRequest("POST", ENDPOINT, "", {}, body, 0)
        headers |= {"X-Hub-Signature-256": github.sign(None, request, SECRET)["x-hub-signature-256"]}
        status = 0
        if http is not None:
            status = (await http.request("POST", ENDPOINT, body=body, headers=headers)).status
        now = time.time()  # noqa: TID251 -- the server's own clock
        at = dt.datetime.fromtimestamp(now - age_seconds, dt.UTC).isoformat(timespec="seconds")
        self.kept.append({
            "id": next(self._ids), "guid": guid, "delivered_at": at.replace("+00:00", "Z"),
            "redelivery": False, "status_code": status, "status": "OK" if status else "failed to connect",
            "event": event, "action": "opened",
            "request": {"headers": headers, "payload": payload},
        })  # fmt: skip
        return guid

    @web.middleware
    async def _guard(self, request, handler):
        self.asked.append(request.path_qs)
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return web.json_response({"message": "API rate limit exceeded"}, status=status, headers=headers)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}" or "User-Agent" not in request.headers:
            return web.json_response({"message": "Not Found"}, status=404)
        return await handler(request)

    async def _hooks(self, _request):
        if not self.may_manage:
            return web.json_response({"message": "Not Found"}, status=404)
        other = {"id": 7, "config": {"url": "https://ci.example.test/hook"}}
        mine = [{"id": HOOK, "config": {"url": self.hook_url, "content_type": "json"}}] if self.hook_url else []
        return web.json_response([other, *mine, *map(_masked, self.made)])

    async def _make_hook(self, request):
        asked = await request.json()
        if unknown := set(asked["events"]) - {"push", "issues", "pull_request", "*"}:
            error = {"message": "Validation Failed", "errors": [f"The events {unknown} are not supported"]}
            return web.json_response(error, status=422)
        self.made.append({"id": 100 + len(self.made), **asked})
        return web.json_response(_masked(self.made[-1]), status=201)

    async def _change_hook(self, request):
        for one in self.made:
            if str(one["id"]) == request.match_info["hook"]:
                one.update(await request.json())
                return web.json_response(_masked(one))
        return web.json_response({"message": "Not Found"}, status=404)

    async def _deliveries(self, request):
        if request.match_info["hook"] != str(HOOK):
            return web.json_response({"message": "Not Found"}, status=404)
        newest = list(reversed(self.kept))
        start = int(request.query.get("cursor", "0"))
        page = [{key: value for key, value in one.items() if key != "request"} for one in newest[start : start + PAGE]]
        headers = {}
        if start + PAGE < len(newest):
            headers["Link"] = f'<{self.url}{request.path}?per_page=100&cursor={start + PAGE}>; rel="next"'
        return web.json_response(page, headers=headers)

    async def _compare(self, request):
        """Compare two commits: at most 300 files, and how far the old one is not within the new one."""
        if request.match_info["range"] != f"{'a' * 40}...{'b' * 40}":
            return web.json_response({"message": "Not Found"}, status=404)
        return web.json_response({"behind_by": self.behind, "files": [{"filename": one} for one in self.files[:300]]})

    async def _pull_files(self, request):
        start = int(request.query.get("page", "0"))
        part, headers = self.files[start : start + PAGE], {}
        if start + PAGE < len(self.files):
            headers["Link"] = f'<{self.url}{request.path}?per_page=100&page={start + PAGE}>; rel="next"'
        listed = [{"filename": one, "previous_filename": f"old/{one}"} for one in part]
        return web.json_response(listed, headers=headers)

    async def _delivery(self, request):
        for one in self.kept:
            if str(one["id"]) == request.match_info["id"]:
                return web.json_response(one)
        return web.json_response({"message": "Not Found"}, status=404)


def _masked(hook):
    return {**hook, "config": {**hook["config"], "secret": "********"}}

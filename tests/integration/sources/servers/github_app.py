"""GitHub as a GitHub App sees it, by its documented rules: JWTs, installations, their tokens, the App's own hook.

Rules: https://docs.github.com/en/rest/apps/apps, https://docs.github.com/en/rest/apps/webhooks,
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app and
https://docs.github.com/en/rest/orgs/members#get-an-organization-membership-for-the-authenticated-user.
"""

import datetime as dt
import itertools
import time
from functools import cache

from aiohttp import web
from joserfc import jwk, jwt
from servers.github import SECRET, GitHub

APP_ID = "123456"
HOUR = 3_600


@cache
def app_key():
    return jwk.RSAKey.generate_key(2048)


class GitHubWithApp(GitHub):
    """One App, installed at `acme` (an organization, only at the repository `billing`) and at `ada` (a person)."""

    def __init__(self):
        super().__init__()
        self.secrets = {}
        self.installations = {
            77: {"account": {"login": "acme", "id": 7, "type": "Organization"}, "repositories": ["billing"]},
            88: {"account": {"login": "ada", "id": 8, "type": "User"}, "repositories": None},
        }
        self.people = {"ada-token": ("ada", 8), "owner-token": ("olga", 9), "member-token": ("max", 10)}
        self.owners = {"owner-token": "admin", "member-token": "member"}
        self.tokens = {}
        self.minted = []
        self.token_seconds = HOUR
        self._tokens_made = itertools.count(1)

    @property
    def settings(self):
        return {
            "github_app_id": APP_ID,
            "github_app_private_key": app_key().as_pem(private=True).decode(),
            "github_webhook_secret": SECRET,
            "github_api_url": self.url,
        }

    @property
    def connections(self):
        return {}

    def config(self):
        return {"type": "github", "repository": self.repository}

    async def start(self):
        app = web.Application(middlewares=[self._note])
        router = app.router
        router.add_get("/repos/{owner}/{name}/installation", self._of_repository)
        router.add_get("/{kind:orgs|users}/{account}/installation", self._of_account)
        router.add_post("/app/installations/{id}/access_tokens", self._mint)
        router.add_get("/app/hook/deliveries", self._app_deliveries)
        router.add_get("/app/hook/deliveries/{id}", self._app_delivery)
        router.add_get("/user", self._user)
        router.add_get("/user/memberships/orgs/{account}", self._membership)
        router.add_get("/repos/acme/billing/compare/{range}", self._as_installation(self._compare))
        router.add_get("/repos/acme/billing/pulls/{number}/files", self._as_installation(self._pull_files))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def app_event(self, http, event, payload, installation=77, **more):
        """Deliver an event through the App's hook; payloads of an App name the installation."""
        guid = await self.deliver(http, event, {**payload, "installation": {"id": installation}}, **more)
        self.kept[-1]["installation_id"] = installation
        return guid

    async def app_issue(self, http, number, installation=77, repository="acme/billing", **more):
        payload = {"action": "opened", "number": number, "repository": {"full_name": repository}}
        return await self.app_event(http, "issues", payload, installation, **more)

    async def lifecycle(self, http, action, installation=77, event="installation", **more):
        """Tell of a change of an installation, as the App's hook does."""
        payload = {"action": action, "installation": self._shown(installation), **more}
        await self.deliver(http, event, payload)
        self.kept[-1]["installation_id"] = installation

    def _shown(self, number):
        one = self.installations[number]
        return {
            "id": number, "account": one["account"], "target_type": one["account"]["type"],
            "repository_selection": "all" if one["repositories"] is None else "selected",
            "permissions": {"contents": "read", "metadata": "read"}, "events": ["issues"],
            "created_at": "2026-01-01T00:00:00Z", "updated_at": one.get("updated_at", "2026-01-01T00:00:00Z"),
            "suspended_at": one.get("suspended_at"),
        }  # fmt: skip

    @web.middleware
    async def _note(self, request, handler):
        self.asked.append(request.path_qs)
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return web.json_response({"message": "API rate limit exceeded"}, status=status, headers=headers)
        return await handler(request)

    def _bearer(self, request):
        return request.headers.get("Authorization", "").removeprefix("Bearer ")

    def _check_app(self, request):
        now = time.time()  # noqa: TID251 -- the server's own clock
        try:
            claims = jwt.decode(self._bearer(request), app_key(), algorithms=["RS256"]).claims
        except Exception as error:
            raise web.HTTPUnauthorized(text='{"message": "A JSON web token could not be decoded"}') from error
        if claims["iss"] != APP_ID or claims["iat"] > now or not now < claims["exp"] <= now + 600:
            raise web.HTTPUnauthorized(
                text="{\"message\": \"'Expiration time' claim ('exp') is too far in the future\"}"
            )

    def _as_installation(self, handler):
        async def guarded(request):
            repositories, until = self.tokens.get(self._bearer(request), ((), 0))
            if until <= time.time():  # noqa: TID251 -- the server's own clock
                return web.json_response({"message": "Bad credentials"}, status=401)
            if request.path.split("/")[3] not in repositories:
                return web.json_response({"message": "Not Found"}, status=404)
            return await handler(request)

        return guarded

    def _installation(self, found):
        if found is None:
            return web.json_response({"message": "Not Found"}, status=404)
        return web.json_response(self._shown(found))

    def _at(self, account, name=None):
        for number, one in self.installations.items():
            covers = name is None or one["repositories"] is None or name in one["repositories"]
            if one["account"]["login"] == account and covers:
                return number
        return None

    async def _of_repository(self, request):
        self._check_app(request)
        return self._installation(self._at(request.match_info["owner"], request.match_info["name"]))

    async def _of_account(self, request):
        self._check_app(request)
        found = self._at(request.match_info["account"])
        kind = {"orgs": "Organization", "users": "User"}[request.match_info["kind"]]
        fits = found is not None and self.installations[found]["account"]["type"] == kind
        return self._installation(found if fits else None)

    async def _mint(self, request):
        self._check_app(request)
        number = int(request.match_info["id"])
        one = self.installations.get(number)
        if one is None:
            return web.json_response({"message": "Not Found"}, status=404)
        if one.get("suspended_at"):
            return web.json_response({"message": "This installation has been suspended"}, status=403)
        names = (await request.json())["repositories"]
        if one["repositories"] is not None and not set(names) <= set(one["repositories"]):
            return web.json_response({"message": "There is at least one repository that does not exist"}, status=422)
        until = int(time.time()) + self.token_seconds  # noqa: TID251 -- the server's own clock
        token = f"ghs_{next(self._tokens_made)}"
        self.tokens[token] = (tuple(names), until)
        self.minted.append((number, tuple(names)))
        at = dt.datetime.fromtimestamp(until, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"token": token, "expires_at": at, "permissions": {}}, status=201)

    async def _app_deliveries(self, request):
        self._check_app(request)
        newest = list(reversed(self.kept))
        start = int(request.query.get("cursor", "0"))
        page = [{key: value for key, value in one.items() if key != "request"} for one in newest[start : start + 30]]
        headers = {}
        if start + 30 < len(newest):
            headers["Link"] = f'<{self.url}{request.path}?per_page=100&cursor={start + 30}>; rel="next"'
        return web.json_response(page, headers=headers)

    async def _app_delivery(self, request):
        self._check_app(request)
        return await self._delivery(request)

    async def _user(self, request):
        who = self.people.get(self._bearer(request))
        if who is None:
            return web.json_response({"message": "Bad credentials"}, status=401)
        return web.json_response({"login": who[0], "id": who[1], "type": "User"})

    async def _membership(self, request):
        token = self._bearer(request)
        if token not in self.people:
            return web.json_response({"message": "Bad credentials"}, status=401)
        if request.match_info["account"] != "acme" or token not in self.owners:
            return web.json_response({"message": "Not Found"}, status=404)
        organization = {"login": "acme", "id": 7}
        return web.json_response({"state": "active", "role": self.owners[token], "organization": organization})

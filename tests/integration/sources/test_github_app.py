"""The GitHub App: what is installed where, whose it is, who hears its deliveries, and with which tokens it is asked."""

import msgspec
import pytest
from joserfc import jwk, jwt
from servers.github import GitHub
from servers.github_app import GitHubWithApp

from workflow_scheduler.app import Application
from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.sources import LOOPBACK, ROLES, SourceBench

JWT_SECRET = "a shared secret that is long enough, surely"
PUSH = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "size": 30, "created": False, "forced": False,
        "commits": [{"id": "c", "added": [], "removed": [], "modified": ["README.md"]}] * 20,
        "repository": {"full_name": "acme/billing"}}  # fmt: skip


@pytest.fixture
async def peer():
    made = GitHubWithApp()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def bench(peer, tmp_path):
    async with SourceBench(tmp_path, peer, **peer.settings) as made:
        yield made


class Tenants:
    """The service with the App and sign-in: `ann` of acme, `eve` of other."""

    def __init__(self, application, http):
        self.application, self.http = application, http
        self.ann, self.eve = self.client("acme"), self.client("other")

    def client(self, tenant):
        claims = {"sub": "someone", "tenant_id": tenant, "role": "owner", "exp": 9_999_999_999}
        made = jwt.encode({"alg": "HS256"}, claims, jwk.OctKey.import_key(JWT_SECRET))
        return AsgiClient(self.application.asgi(), {"authorization": f"Bearer {made}"})

    async def deploy(self, client, **trigger):
        spec = {
            "version": 1,
            "name": "heard",
            "triggers": {"it": {"type": "github", "repository": "acme/billing", **trigger}},
            "jobs": {"note": {"uses": "noop"}},
        }
        return await client.post("/api/v1/deployment/workflows/heard/deploy", json={"workflow_spec": spec})

    async def connect(self, client, token, **more):
        fields = {"auth": "bearer", "secret": token, **more}
        made = await client.post("/api/v1/connections", json={"name": token, "kind": "http", "fields": fields})
        assert made.status == 201, made.text

    async def events(self, client):
        return [one["event_key"] for one in (await client.get("/api/v1/events?provider=github")).json()["items"]]


@pytest.fixture(params=["sqlite", "postgres"])
async def tenants(peer, request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/wfs.db"
    given = {"egress_allow": LOOPBACK, "roles": ROLES, "data": tmp_path, "database_url": url, "jwt_secret": JWT_SECRET}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    application = Application(Settings.model_validate({**defaults, **given, **peer.settings}))
    await application.start()
    yield Tenants(application, AsgiClient(application.asgi()))
    await application.stop()


async def installations(application):
    rows = await application.store.read(
        "SELECT installation_id, tenant_id, repositories, suspended_at FROM github_installations ORDER BY 1"
    )
    return {row[0]: (row[1], msgspec.json.decode(row[2]), row[3]) for row in rows}


async def live(application):
    rows = await application.store.read("SELECT trigger_config FROM trigger_index WHERE deployment_status = 'active'")
    return msgspec.json.decode(rows[0][0])


async def test_a_deployment_finds_the_installation_and_hears_its_deliveries(bench, peer):
    config = await live(bench.app)
    assert (config["github_app_installation_id"], config["via"]) == ("77", "app")
    assert (await installations(bench.app))[77][0] == "local"
    await peer.app_issue(bench.http, 1)
    assert peer.kept[-1]["status_code"] == 202
    await bench.heard(1)


async def test_an_owner_of_all_repositories_is_found_by_its_account(bench, peer):
    await bench.deploy(repository="ada/*")
    assert (await live(bench.app))["github_app_installation_id"] == "88"
    await bench.deploy(repository="acme/*")
    assert (await live(bench.app))["github_app_installation_id"] == "77"


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"repository": "acme/other"}, "repository", "not installed at `acme/other`"),
        ({"repository": "nobody/*"}, "repository", "not installed at `nobody`"),
        ({"repository": "../.."}, "repository", "not installed at"),
        ({"github_app_installation_id": "88"}, "github_app_installation_id", "is 77, not 88"),
    ],
)
async def test_a_place_where_the_app_is_not_is_refused_at_its_field(bench, changes, field, message):
    spec = {
        "version": 1,
        "name": "more",
        "triggers": {"it": {"type": "github", "repository": "acme/billing", **changes}},
        "jobs": {"note": {"uses": "noop"}},
    }
    reply = await bench.http.post("/api/v1/deployment/workflows/more/deploy", json={"workflow_spec": spec})
    assert reply.status == 422
    (error,) = reply.json()["errors"]
    assert error["field"] == f"triggers.it.{field}"
    assert message in error["message"]
    assert reply.json()["fix"]


async def test_a_suspended_installation_is_refused_until_it_is_not(bench, peer):
    peer.installations[77]["suspended_at"] = "2026-02-01T00:00:00Z"
    with pytest.raises(AssertionError, match="suspended at `acme`"):
        await bench.deploy()
    peer.installations[77]["suspended_at"] = None
    await bench.deploy()


async def test_an_app_that_github_does_not_know_is_said_so(bench, peer, monkeypatch):
    monkeypatch.setattr("servers.github_app.APP_ID", "another")
    with pytest.raises(AssertionError, match=r"GitHub refuses the App of this service.*GITHUB_APP_ID"):
        await bench.deploy()


async def test_a_trigger_with_a_secret_of_its_own_is_left_to_its_webhook(bench, peer):
    await bench.ask("POST", "/api/v1/secrets", {"name": "gh", "value": "own"})
    asked = len(peer.asked)
    await bench.deploy(repository="acme/other", secret="gh")
    await bench.deploy(repository="acme/other", via="webhook")
    assert "installation" not in str(peer.asked[asked:])
    assert "via" not in {key for key, value in (await live(bench.app)).items() if value == "app"}


async def test_without_an_app_there_is_nothing_to_be_asked_for(tmp_path):
    peer = GitHub()
    async with SourceBench(tmp_path, peer) as bench:
        with pytest.raises(AssertionError, match="has no GitHub App"):
            await bench.deploy(secret="GITHUB_WEBHOOK_SECRET", via="app", connection=None)


async def test_news_of_installations_are_kept(bench, peer):
    await peer.lifecycle(bench.http, "created", 88, repositories=[{"full_name": "ada/a"}, {"full_name": "ada/b"}])
    added, removed = [{"full_name": "ada/c"}], [{"full_name": "ada/a"}]
    more = {"repositories_added": added, "repositories_removed": removed}
    await peer.lifecycle(bench.http, "added", 88, "installation_repositories", **more)
    assert (await installations(bench.app))[88] == (None, ["ada/b", "ada/c"], None)
    peer.installations[88] |= {"suspended_at": "2026-02-01T00:00:00Z", "updated_at": "2026-02-01T00:00:00Z"}
    await peer.lifecycle(bench.http, "suspend", 88)
    assert (await installations(bench.app))[88][2] is not None
    peer.installations[88] |= {"suspended_at": None, "updated_at": "2026-01-15T00:00:00Z"}
    await peer.lifecycle(bench.http, "unsuspend", 88)
    assert (await installations(bench.app))[88][2] is not None, "news that are older than what is known"
    peer.installations[88] |= {"updated_at": "2026-02-02T00:00:00Z"}
    await peer.lifecycle(bench.http, "unsuspend", 88)
    assert (await installations(bench.app))[88][2] is None
    await peer.lifecycle(bench.http, "deleted", 88)
    assert list(await installations(bench.app)) == [77]


async def test_an_end_is_heard_by_whose_the_installation_was(bench, peer):
    await bench.deploy(repository="acme/*", events=["installation"])
    await peer.lifecycle(bench.http, "deleted", 77)
    rows = await bench.app.store.read("SELECT outcome FROM decisions")
    assert [row[0] for row in rows] == ["run_started"]
    assert await installations(bench.app) == {}


async def test_what_a_wrong_secret_signed_changes_nothing(bench, peer):
    reply = await bench.http.post(
        "/api/v1/github/webhook",
        json={"action": "deleted", "installation": peer._shown(77)},
        headers={"x-github-event": "installation", "x-hub-signature-256": "sha256=" + "0" * 64},
    )
    assert reply.status == 401
    assert list(await installations(bench.app)) == [77]


@pytest.mark.parametrize("key", ["", "no key"])
def test_half_an_app_is_refused_at_the_start(tmp_path, key):
    given = {"data": tmp_path, "github_app_id": "1", "github_app_private_key": key, "github_webhook_secret": "s"}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    with pytest.raises(ValidationFailed, match="GITHUB_APP_PRIVATE_KEY"):
        Application(Settings.model_validate({**defaults, **given}))


async def test_files_are_asked_for_with_a_token_of_the_installation_for_the_repository_alone(bench, peer):
    await bench.deploy(events={"push": {"paths": ["src/**"]}})
    peer.files = ["docs/a.md"]
    await peer.app_event(bench.http, "push", PUSH)
    peer.files = ["src/app.py"]
    await peer.app_event(bench.http, "push", PUSH)
    rows = await bench.app.store.read("SELECT outcome FROM decisions ORDER BY event_id")
    assert [row[0] for row in rows] == ["filtered", "run_started"]
    assert peer.minted == [(77, ("billing",))], "a token is kept"
    until = await bench.app.store.read("SELECT access_token_expires_at FROM github_installations")
    assert until[0][0] > bench.app.clock.now()


@pytest.mark.parametrize("why", ["about to end", "taken back"])
async def test_a_token_that_ends_is_replaced(bench, peer, why):
    await bench.deploy(events={"push": {"paths": ["src/**"]}})
    peer.files = ["src/app.py"]
    peer.token_seconds = 200 if why == "about to end" else 3_600
    await peer.app_event(bench.http, "push", PUSH)
    if why == "taken back":
        peer.tokens.clear()
    await peer.app_event(bench.http, "push", PUSH)
    assert peer.minted == [(77, ("billing",))] * 2
    rows = await bench.app.store.read("SELECT outcome, reason FROM decisions")
    assert [tuple(row) for row in rows] == [("run_started", "matched")] * 2


async def test_an_installation_is_its_own_tenants_alone(tenants, peer):
    reply = await tenants.deploy(tenants.eve)
    assert reply.status == 422
    assert [one["field"] for one in reply.json()["errors"]] == ["triggers.it.connection"]
    await tenants.connect(tenants.ann, "owner-token")
    assert (await tenants.deploy(tenants.ann, connection="owner-token")).status == 200
    assert (await tenants.deploy(tenants.ann)).status == 200, "it is shown once"
    await tenants.connect(tenants.eve, "owner-token")
    reply = await tenants.deploy(tenants.eve, connection="owner-token")
    assert (reply.status, reply.json()["errors"][0]["field"]) == (422, "triggers.it.repository")
    guid = await peer.app_issue(tenants.http, 1)
    assert await tenants.events(tenants.ann) == [guid]
    assert await tenants.events(tenants.eve) == []
    for installation in (88, 99):
        await peer.app_issue(tenants.http, 2, installation)
        assert peer.kept[-1]["status_code"] == 202, "GitHub did nothing wrong"
    assert await tenants.events(tenants.ann) == [guid]


@pytest.mark.parametrize("token", ["member-token", "ada-token", "unknown-token"])
async def test_only_owners_of_an_organization_can_show_that_it_is_theirs(tenants, peer, token):
    await tenants.connect(tenants.eve, token)
    reply = await tenants.deploy(tenants.eve, connection=token)
    assert (reply.status, reply.json()["errors"][0]["field"]) == (422, "triggers.it.connection")
    assert (await installations(tenants.application))[77][0] is None


async def test_a_person_shows_an_account_of_its_own(tenants, peer):
    await tenants.connect(tenants.eve, "ada-token")
    await tenants.connect(tenants.eve, "owner-token")
    assert (await tenants.deploy(tenants.eve, repository="ada/*", connection="owner-token")).status == 422
    assert (await tenants.deploy(tenants.eve, repository="ada/*", connection="ada-token")).status == 200


async def test_a_server_of_ones_own_proves_nothing(tenants, peer):
    liar = GitHubWithApp()
    await liar.start()
    liar.people["liar"], liar.owners["liar"] = ("eve", 66), "admin"
    await tenants.connect(tenants.eve, "liar", url=liar.url)
    reply = await tenants.deploy(tenants.eve, connection="liar")
    assert (reply.status, liar.asked) == (422, [])
    await liar.stop()


async def test_a_stored_secret_of_the_same_value_hears_no_deliveries_of_others(tenants, peer):
    await tenants.eve.post("/api/v1/secrets", json={"name": "gh", "value": peer.settings["github_webhook_secret"]})
    assert (await tenants.deploy(tenants.eve, secret="gh")).status == 200
    await tenants.connect(tenants.ann, "owner-token")
    await tenants.deploy(tenants.ann, connection="owner-token")
    await peer.app_issue(tenants.http, 1)
    assert await tenants.events(tenants.eve) == []
    assert len(await tenants.events(tenants.ann)) == 1


async def test_installations_are_listed_and_given_up(tenants, peer):
    await tenants.connect(tenants.ann, "owner-token")
    await tenants.deploy(tenants.ann, connection="owner-token")
    (shown,) = (await tenants.ann.get("/api/v1/github/installations")).json()["items"]
    assert (shown["installation_id"], shown["account_login"], shown["user_id"]) == ("77", "acme", "someone")
    assert (await tenants.eve.get("/api/v1/github/installations")).json()["items"] == []
    assert (await tenants.eve.delete("/api/v1/github/installations/77")).status == 404
    assert (await tenants.ann.delete("/api/v1/github/installations/77")).status == 204
    await peer.app_issue(tenants.http, 1)
    assert await tenants.events(tenants.ann) == []
    await tenants.connect(tenants.eve, "owner-token")
    assert (await tenants.deploy(tenants.eve, connection="owner-token")).status == 200
    guid = await peer.app_issue(tenants.http, 2)
    assert await tenants.events(tenants.eve) == [guid]


async def test_the_local_tenant_hears_what_is_nobodys_and_not_what_is_anothers(tenants, peer):
    local = tenants.client("local")
    assert (await tenants.deploy(local, via="webhook")).status == 200
    unclaimed = await peer.app_issue(tenants.http, 1)
    await tenants.connect(tenants.ann, "owner-token")
    await tenants.deploy(tenants.ann, connection="owner-token")
    mine = await peer.app_issue(tenants.http, 2)
    assert await tenants.events(local) == [unclaimed]
    assert await tenants.events(tenants.ann) == [mine]
    reply = await tenants.deploy(local)
    assert (reply.status, reply.json()["errors"][0]["field"]) == (422, "triggers.it.repository")


async def test_a_webhook_needs_a_secret_of_the_tenant_also_where_the_app_has_one(tenants):
    reply = await tenants.deploy(tenants.eve, via="webhook")
    assert (reply.status, reply.json()["errors"][0]["field"]) == (422, "triggers.it.secret")

"""A person consents at a provider and a connection comes of it; whatever goes wrong stores nothing and says why."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest
from consenting import JSON, PAGE, Consenting

from consent_peer import CLIENT, SECRET
from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

KINDS = {"github": "http", "slack": "slack", "google": "google"}
ACCOUNTS = {"github": "ann-at-github", "slack": "Acme T1", "google": "ann@example.test"}


@pytest.mark.parametrize("provider", list(KINDS))
async def test_a_consent_becomes_a_connection_that_works(service, provider):
    shown = await service.connect("connection=mine", provider)
    assert (shown["name"], shown["kind"], shown["updated_by"]) == ("mine", KINDS[provider], "ann")
    consent = shown["consent"]
    assert (consent["provider"], consent["account"], consent["user_id"]) == (provider, ACCOUNTS[provider], "ann")
    known = {one["provider"]: one["scopes"] for one in (await service.ann.get("/api/v1/auth")).json()["items"]}
    assert consent["scopes"].split() == known[provider]
    tested = (await service.ann.post("/api/v1/connections/mine/test", json={})).json()
    assert tested["ok"] is True, tested
    assert await service.names(service.eve) == []


@pytest.mark.parametrize("provider", list(KINDS))
async def test_no_secret_is_shown_or_lies_open(service, provider, tmp_path):
    await service.connect("connection=mine", provider)
    held = [*service.peer.tokens, *service.peer.refresh, SECRET]
    seen = [(await service.ann.get(path)).text for path in ("/api/v1/connections", "/api/v1/connections/mine")]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for value in held:
        assert all(value not in text for text in seen)
        assert all(value.encode() not in content for content in files)
    opened = await service.open("mine")
    assert all(value not in repr(opened) + repr(opened.fields) for value in held)


async def test_the_secret_of_the_installation_is_lent_for_google_and_never_stored(service):
    await service.connect()
    row = await service.application.connections._rows.get("acme", "mine")
    assert msgspec.json.decode(row.fields) == {"client_id": CLIENT}
    assert service.application.connections._secrets(row).keys() == {"refresh_token"}
    opened = await service.open("mine")
    assert (opened.fields.client_secret, opened.fields.tokens) == (SECRET, f"{service.peer.url}/token")
    for wanted, words in (
        ({"client_id": CLIENT, "endpoint": "http://127.0.0.1:9"}, "no `endpoint`"),
        ({"client_id": CLIENT, "client_secret": "own"}, "no `client_secret`"),
    ):
        reply = await service.ann.put("/api/v1/connections/mine", json={"kind": "google", "fields": wanted})
        assert (reply.status, words in reply.text) == (422, True), reply.text
    mine = {"name": "stolen", "kind": "google", "fields": {"client_id": CLIENT, "refresh_token": "of-somebody"}}
    assert (await service.ann.post("/api/v1/connections", json=mine)).status == 422


async def test_a_browser_is_led_to_the_provider_and_back_to_the_page_it_came_from(service):
    begun = await service.ann.get("/api/v1/auth/github/start?connection=code&return_to=/workflows", headers=PAGE)
    assert begun.status == 302
    address = urlsplit(begun.headers["location"])
    query = dict(parse_qsl(address.query))
    assert begun.headers["location"].startswith(f"{service.peer.url}/login/oauth/authorize?")
    assert query["redirect_uri"] == "http://localhost/api/v1/auth/github/callback"
    assert (query["scope"], query["code_challenge_method"]) == ("repo admin:repo_hook", "S256")
    back = await service.consent("connection=code&return_to=/workflows", "github")
    led = await service.nobody.get(back, headers=PAGE)
    assert (led.status, led.headers["location"].partition("#")[0]) == (303, "/connections/consent")
    assert led.headers["referrer-policy"] == "no-referrer"
    assert parse_qs(led.headers["location"].partition("#")[2])["provider"] == ["github"]
    assert await service.names() == []
    done = await service.ann.get(back, headers=PAGE)
    assert (done.status, done.headers["location"]) == (303, "/workflows")
    assert await service.names() == ["code"]


async def test_scopes_are_asked_for_as_the_provider_wants_them(service):
    for provider, wanted in (("slack", "chat:write,files:read"), ("google", "openid email")):
        begun = await service.begin("connection=mine&scopes=" + wanted.replace(",", "%20").replace(" ", ","), provider)
        assert dict(parse_qsl(urlsplit(begun["address"]).query))["scope"] == wanted
    refused = await service.ann.get("/api/v1/auth/google/start?scopes=%22all%22", headers=JSON)
    assert (refused.status, refused.json()["errors"][0]["field"]) == (422, "scopes")


async def test_the_name_is_that_of_the_provider_unless_another_is_given(service):
    assert (await service.begin("", "slack"))["connection"] == "slack"


@pytest.mark.parametrize("path", ["//evil.test", "https://evil.test", "/\\evil.test", "evil", "", "/a b"])
async def test_the_way_back_stays_on_this_service(service, path):
    reply = await service.ann.get(f"/api/v1/auth/google/start?return_to={path.replace(' ', '%20')}", headers=JSON)
    assert (reply.status, reply.json()["errors"][0]["field"]) == (422, "return_to")


async def test_a_state_is_good_once_and_for_its_provider(service):
    back = await service.consent()
    elsewhere = await service.ann.get(back.replace("/google/", "/github/"), headers=JSON)
    assert elsewhere.status == 400
    assert (await service.ann.get(back, headers=JSON)).status == 200
    again = await service.ann.get(back, headers=JSON)
    assert (again.status, again.json()["code"]) == (400, "bad_request")
    for wrong in ("?code=x", "?code=x&state=", "?code=x&state=guess", "?state=guess", ""):
        for who in (service.nobody, service.ann):
            assert (await who.get(f"/api/v1/auth/google/callback{wrong}")).status == 400, wrong
    assert len(service.peer.forms) == 1


async def test_two_at_once_exchange_the_code_once(service):
    back = await service.consent()
    both = await asyncio.gather(*(service.ann.get(back, headers=JSON) for _ in range(2)))
    assert sorted(one.status for one in both) == [200, 400]
    assert len(service.peer.forms) == 1


async def test_only_who_began_can_finish(service):
    back = await service.consent()
    for who, status in ((service.eve, 403), (service.bob, 403)):
        assert (await who.get(back, headers=JSON)).status == status
    wrong = AsgiClient(service.application.asgi(), {"authorization": "Bearer wfs_unknown"})
    assert (await wrong.get(back, headers=PAGE)).status == 401
    assert service.peer.forms == []
    assert await service.names() == await service.names(service.eve) == []
    assert (await service.ann.get(back, headers=JSON)).status == 200


async def test_who_may_only_look_cannot_begin(service):
    assert (await service.bob.get("/api/v1/auth/google/start", headers=JSON)).status == 403
    assert (await service.nobody.get("/api/v1/auth/google/start", headers=JSON)).status == 401
    assert (await service.bob.get("/api/v1/auth")).status == 200


async def test_a_denied_consent_is_a_page_that_says_so(service):
    service.peer.deny = True
    back = await service.consent()
    page = await service.nobody.get(back, headers=PAGE)
    assert (page.status, page.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert "denied at Google" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await service.nobody.get(back, headers=JSON)).status == 400
    assert await service.names() == []


async def test_what_a_provider_says_is_never_taken_for_markup(service):
    begun = await service.begin()
    state = dict(parse_qsl(urlsplit(begun["address"]).query))["state"]
    target = f"/api/v1/auth/google/callback?state={state}&error=%3Cscript%3Ealert(1)%3C/script%3E"
    page = await service.nobody.get(target, headers=PAGE)
    assert (page.status, "<script>" in page.text) == (422, False)


@pytest.mark.parametrize("provider", list(KINDS))
async def test_an_exchange_that_fails_stores_nothing(service, provider):
    back = await service.consent("connection=mine", provider)
    service.peer.codes.clear()
    refused = await service.ann.get(back, headers=JSON)
    assert (refused.status, "bad_verification_code" in refused.text) == (422, True)
    back = await service.consent("connection=mine", provider)
    service.peer.broken = 502
    assert (await service.ann.get(back, headers=JSON)).status == 503
    assert await service.names() == []
    page = await service.ann.get(back, headers=PAGE)
    assert (page.status, "Nothing was connected" in page.text) == (400, True)


async def test_google_must_give_a_token_that_lasts(service):
    service.peer.google_refresh = False
    refused = await service.ann.get(await service.consent(), headers=JSON)
    assert (refused.status, "`refresh_token`" in refused.text) == (422, True)


async def test_the_audit_log_names_the_connection_and_who_changed_it(service):
    await service.connect()
    back = await service.consent("connection=other")
    service.peer.codes.clear()
    await service.ann.get(back, headers=JSON)
    log = [
        (one.user_id, one.method, one.path, one.status)
        for one in await service.application.context.audit._rows.page("acme", None, 10, None)
    ]
    assert log == [
        ("ann", "PUT", "/api/v1/connections/other", 422), ("ann", "PUT", "/api/v1/connections/mine", 200),
    ]  # fmt: skip


async def test_a_connection_of_another_kind_is_not_replaced(service):
    web = {"name": "mine", "kind": "http", "fields": {"auth": "bearer", "secret": "by-hand"}}
    back = await service.consent("connection=mine", "github")
    assert (await service.ann.post("/api/v1/connections", json=web)).status == 201
    assert (await service.ann.get("/api/v1/auth/github/start?connection=mine", headers=JSON)).status == 409
    assert (await service.ann.get(back, headers=JSON)).status == 409
    assert (await service.open("mine")).fields.secret == "by-hand"


async def test_an_installation_that_is_not_registered_says_which_settings_it_needs(settings):
    application = Application(Settings(**{**settings, "GITHUB_CLIENT_SECRET": ""}))
    await application.start()
    try:
        service = Consenting(application, None)
        reply = await service.ann.get("/api/v1/auth/github/start", headers=JSON)
        assert reply.status == 409
        assert "GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET" in reply.json()["fix"]
        shown = {one["provider"]: one["configured"] for one in (await service.ann.get("/api/v1/auth")).json()["items"]}
        assert shown == {"github": False, "slack": True, "google": True}
        unknown = await service.ann.get("/api/v1/auth/gitlab/start", headers=JSON)
        assert (unknown.status, "github, slack, google" in unknown.text) == (404, True)
    finally:
        await application.stop()


async def test_the_address_of_this_service_is_not_taken_from_strangers(service):
    reply = await service.ann.get("/api/v1/auth/google/start", headers={**JSON, "host": "evil.test"})
    assert (reply.status, "WFS_PUBLIC_URL" in reply.json()["fix"]) == (409, True)
    shown = await service.ann.get("/api/v1/auth", headers={"host": "evil.test"})
    assert {one["redirect_uri"] for one in shown.json()["items"]} == {None}


async def test_the_public_address_is_where_the_provider_sends_people_back(settings):
    application = Application(Settings(**{**settings, "WFS_PUBLIC_URL": "https://flows.example.test/"}))
    await application.start()
    try:
        begun = await Consenting(application, None).begin()
        assert begun["redirect_uri"] == "https://flows.example.test/api/v1/auth/google/callback"
    finally:
        await application.stop()


async def test_without_keys_a_browser_from_elsewhere_is_led_on_and_a_program_is_served(settings, peer):
    application = Application(Settings(**{**settings, "jwt_secret": ""}))
    await application.start()
    try:
        service = Consenting(application, peer)
        service.ann = service.nobody
        crossed = {"sec-fetch-site": "cross-site"}
        assert (await service.nobody.get("/api/v1/auth/google/start", headers=crossed)).status == 403
        back = await service.consent()
        led = await service.nobody.get(back, headers={**PAGE, **crossed})
        assert (led.status, led.headers["location"].partition("#")[0]) == (303, "/connections/consent")
        assert (await service.nobody.get(back, headers=JSON)).status == 200
    finally:
        await application.stop()

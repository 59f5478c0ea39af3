"""What each role may do on the whole service, who is a member, and what the audit log keeps of it."""

from __future__ import annotations

import pytest
from joserfc import jwk, jwt

from workflow_scheduler.api import roles
from workflow_scheduler.api.application import resources
from workflow_scheduler.app import Application
from workflow_scheduler.core.model.principal import Role, role_of
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

SECRET = "a shared secret that is long enough, surely"
LATER = 4_000_000_000
FLOW = {"version": 1, "name": "hello", "jobs": {"one": {"uses": "noop"}}}


@pytest.fixture
async def application(tmp_path):
    app = Application(Settings(_env_file=None, data=tmp_path, jwt_secret=SECRET))
    await app.start()
    yield app
    await app.stop()


@pytest.fixture
def as_user(application):
    key = jwk.OctKey.import_key(SECRET)

    def client(user, role=None, tenant="acme"):
        claims = {"sub": user, "tenant_id": tenant, "exp": LATER, **({} if role is None else {"role": role})}
        token = jwt.encode({"alg": "HS256"}, claims, key)
        return AsgiClient(application.asgi(), {"authorization": f"Bearer {token}"})

    return client


def test_roles_stand_in_an_order_and_an_unknown_one_may_only_look():
    assert [role.rank for role in (Role.VIEWER, Role.EDITOR, Role.OWNER)] == [0, 1, 2]
    assert {name: role_of(name) for name in ("Owner", "member", "authenticated", "admin", "anon", "")} == {
        "Owner": Role.OWNER, "member": Role.EDITOR, "authenticated": Role.EDITOR, "admin": Role.OWNER,
        "anon": Role.VIEWER, "": Role.VIEWER,
    }  # fmt: skip


async def test_every_route_needs_the_role_that_its_method_and_path_say(application):
    needed = {}
    for path, operations in resources(application.context).openapi()["paths"].items():
        for method in operations:
            needed.setdefault(roles.needed(method.upper(), path), set()).add(f"{method.upper()} {path}")
    dry = {one for one in needed[Role.VIEWER] if not one.startswith("GET ")}
    assert dry - {"POST /webhooks/{provider}/{id}"} <= {
        "POST /api/v1/workflows/validate", "POST /api/v1/validate/dependencies", "POST /api/v1/deployment/plan",
        "POST /api/v1/schedules/preview", "POST /api/v1/schedules/lab", "POST /api/v1/triggers/{trigger_id}/test",
        "POST /api/v1/triggers/{trigger_id}/simulate", "POST /api/triggers/{trigger_id}/test",
        "POST /api/triggers/{trigger_id}/simulate", "POST /api/v1/waits/{wait_id}", "POST /api/v1/imports/{system}",
    }  # fmt: skip
    assert all(one.split()[1].startswith(roles.OWNED) for one in needed[Role.OWNER])
    assert {one for one in needed[Role.EDITOR] if one.startswith("GET ")} == {
        "GET /api/v1/auth/{provider}/start", "GET /api/v1/auth/{provider}/callback",
    }  # fmt: skip


async def test_a_viewer_looks_and_changes_nothing(as_user):
    editor, viewer = as_user("ed", "editor"), as_user("vi", "viewer")
    assert (await editor.post("/api/v1/workflows", json=FLOW)).status == 201
    assert (await editor.post("/api/v1/deployment/workflows/hello/deploy")).status == 200

    assert (await viewer.get("/api/v1/workflows/hello")).status == 200
    assert (await viewer.post("/api/v1/workflows/validate", json=FLOW)).status == 200
    for refused in (
        await viewer.post("/api/v1/workflows", json=FLOW),
        await viewer.delete("/api/v1/workflows/hello"),
        await viewer.post("/api/v1/triggers/workflows/hello/manual"),
        await viewer.post("/v2/workflows/hello/execute", json={}),
        await viewer.post("/api/v1/secrets", json={"name": "a", "value": "b"}),
        await viewer.post(
            "/api/v1/events", json={"specversion": "1.0", "id": "1", "source": "/s", "type": "t"},
        ),
    ):  # fmt: skip
        assert (refused.status, refused.json()["code"]) == (403, "forbidden")
        assert "viewer" in refused.json()["detail"]
        assert refused.json()["fix"]


async def test_keys_members_and_the_audit_log_are_the_owners(as_user):
    for path in ("/api/v1/keys", "/api/v1/members", "/api/v1/audit"):
        assert (await as_user("ed", "editor").get(path)).status == 403
        assert (await as_user("ow", "owner").get(path)).status == 200
    assert (await as_user("ed", "editor").post("/api/v1/keys", json={"name": "x", "role": "owner"})).status == 403


async def test_the_role_of_a_member_replaces_that_of_the_token_at_once(as_user):
    owner, ann = as_user("ow", "owner"), as_user("ann", "viewer")
    assert (await ann.post("/api/v1/workflows", json=FLOW)).status == 403
    added = await owner.post("/api/v1/members", json={"user_id": "ann", "role": "editor", "email": "ann@example.org"})
    assert (added.status, added.json()["role"]) == (201, "editor")
    assert (await ann.get("/api/v1/me")).json() == {
        "tenant_id": "acme", "user_id": "ann", "role": "editor", "authentication": "jwt",
    }  # fmt: skip
    assert (await ann.post("/api/v1/workflows", json=FLOW)).status == 201
    assert (await owner.put("/api/v1/members/ann", json={"role": "viewer"})).json()["role"] == "viewer"
    assert (await ann.delete("/api/v1/workflows/hello")).status == 403


async def test_who_is_removed_is_refused_with_token_and_keys(application, as_user):
    owner, ann = as_user("ow", "owner"), as_user("ann", "owner")
    await owner.post("/api/v1/members", json={"user_id": "ow", "role": "owner"})
    await owner.post("/api/v1/members", json={"user_id": "ann", "role": "owner"})
    key = (await ann.post("/api/v1/keys", json={"name": "ci"})).json()["key"]
    by_key = AsgiClient(application.asgi(), {"x-api-key": key})
    assert (await by_key.get("/api/v1/workflows")).status == 200

    assert (await owner.delete("/api/v1/members/ann")).status == 204
    assert (await ann.get("/api/v1/workflows")).status == 403
    assert (await by_key.get("/api/v1/workflows")).status == 401
    assert (await owner.post("/api/v1/members", json={"user_id": "ann", "role": "viewer"})).status == 201
    assert (await ann.get("/api/v1/workflows")).status == 200


async def test_the_last_owner_stays_one(as_user):
    owner = as_user("ow", "owner")
    await owner.post("/api/v1/members", json={"user_id": "ow", "role": "owner"})
    refused = [await owner.put("/api/v1/members/ow", json={"role": "editor"}), await owner.delete("/api/v1/members/ow")]
    assert [(one.status, "last owner" in one.json()["detail"]) for one in refused] == [(409, True), (409, True)]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"user_id": "a\n"}, "user_id"), ({"user_id": "a", "role": "king"}, "role"),
     ({"user_id": "a", "email": "nobody"}, "email")],
)  # fmt: skip
async def test_a_member_that_cannot_be_is_refused_by_field(as_user, body, field):
    reply = await as_user("ow", "owner").post("/api/v1/members", json=body)
    assert (reply.status, [line["field"] for line in reply.json()["errors"]]) == (422, [field])


async def test_members_of_another_tenant_are_not_there(as_user):
    await as_user("ow", "owner").post("/api/v1/members", json={"user_id": "ann"})
    other = as_user("ow", "owner", tenant="other")
    assert (await other.get("/api/v1/members")).json()["items"] == []
    assert (await other.get("/api/v1/members/ann")).status == 404
    assert (await other.delete("/api/v1/members/ann")).status == 404
    assert (await other.get("/api/v1/audit")).json()["items"][0]["path"] == "/api/v1/members/ann"


async def test_every_change_is_in_the_audit_log_with_its_answer(as_user):
    owner = as_user("ow", "owner")
    await as_user("vi", "viewer").delete("/api/v1/workflows/nothing")
    await owner.post("/api/v1/workflows", json=FLOW)
    await owner.post("/api/v1/workflows/validate", json=FLOW)
    await owner.post("/api/v1/deployment/workflows/hello/deploy")
    await owner.post("/api/v1/triggers/workflows/hello/manual")
    await owner.put("/api/v1/members/nobody", json={"role": "viewer"})
    page = (await owner.get("/api/v1/audit?limit=3")).json()
    rest = (await owner.get(f"/api/v1/audit?cursor={page['next']}")).json()
    assert [(one["user_id"], one["method"], one["path"], one["status"]) for one in page["items"] + rest["items"]] == [
        ("ow", "PUT", "/api/v1/members/nobody", 404),
        ("ow", "POST", "/api/v1/deployment/workflows/hello/deploy", 200),
        ("ow", "POST", "/api/v1/workflows", 201),
        ("vi", "DELETE", "/api/v1/workflows/nothing", 403),
    ]
    assert [one["path"] for one in (await owner.get("/api/v1/audit?user=vi")).json()["items"]] == [
        "/api/v1/workflows/nothing"
    ]

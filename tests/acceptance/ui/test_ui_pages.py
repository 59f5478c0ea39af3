"""Every route in both themes and at both widths: nothing is cut off, nothing fails, axe finds nothing."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from chaos.service import wait_until
from desk import Desk

SIZES = {"wide": {"width": 1360, "height": 900}, "narrow": {"width": 320, "height": 700}}
FIXED = [
    "/", "/workflows", "/workflows/new", "/workflows/new?from=yaml", "/runs", "/events", "/upcoming",
    "/upcoming?view=week", "/upcoming/calendars", "/upcoming/calendars/festive", "/upcoming/blackouts",
    "/upcoming/backfills", "/explain", "/approvals", "/connections", "/connections/consent", "/templates",
    "/dead-letters", "/metrics", "/settings/health", "/settings/members", "/settings/keys", "/settings/secrets",
    "/settings/limits", "/settings/quarantine", "/settings/audit",
]  # fmt: skip


@pytest.fixture(scope="module")
def routes(scene):
    """All routes, with things to show on each."""
    scene.call("POST", "/api/v1/public/webhook/orders", {"amount": 5})
    scene.call("POST", "/api/v1/public/webhook/orders", {"amount": 500})
    scene.call("POST", "/api/v1/triggers/workflows/broken/manual", {})
    wait_until(lambda: scene.items("/api/v1/runs", status="FAILED"), what="a failed run")
    wait_until(lambda: scene.items("/api/v1/waits", status="OPEN"), what="an open question")
    scene.call("POST", "/api/v1/calendars", {"name": "festive", "country": "US", "dates": ["2027-12-24 Christmas Eve"]})
    scene.call("POST", "/api/v1/blackouts", {"name": "month-end", "cron": "0 22 L * *", "duration": "8h"})
    past = {"workflow": "sales", "trigger": "nightly", "from": "2026-01-01T00:00:00Z", "to": "2026-01-04T00:00:00Z"}
    backfill = scene.call("POST", "/api/v1/backfills", past)["id"]
    flows = {one["name"]: one for one in scene.items("/api/v1/workflows")}
    sales = f"/workflows/{flows['sales']['id']}"
    triggers = {one["name"]: one["id"] for one in flows["sales"]["triggers"]}
    events = scene.items("/api/v1/events", provider="webhook")
    runs = [one["id"] for one in scene.items("/api/v1/runs")]
    return [
        *FIXED, sales, f"{sales}/edit", f"{sales}/versions", f"{sales}/triggers/new",
        *(f"{sales}/triggers/{one}" for one in triggers.values()), *(f"/runs/{one}" for one in runs[:2]),
        *(f"/events/{one['id']}" for one in events), f"/explain?ref={events[0]['id']}", f"/explain?ref={runs[0]}",
        "/explain?ref=sales/nightly&at=2027-03-14T07:00:00Z", "/explain?workflow=sales",
        f"/upcoming/backfills/{backfill}",
    ]  # fmt: skip


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_route_is_whole_and_accessible(browser, scene, routes, shots, theme, size):
    context = browser.new_context(viewport=SIZES[size], color_scheme=theme)
    desk = Desk(context.new_page(), scene)
    complaints = []
    for route in routes:
        desk.open(route)
        desk.page.locator("main .spinner").first.wait_for(state="detached")
        wide = desk.page.evaluate("document.documentElement.scrollWidth")
        if wide > SIZES[size]["width"]:
            complaints.append(f"{route} is {wide} wide")
        found = Axe().run(desk.page, options={"resultTypes": ["violations"]}).response["violations"]
        complaints += [f"{route}: {one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]
        name = route.strip("/").replace("/", "_").replace("?", "-")[:60] or "home"
        desk.page.screenshot(path=shots / f"{name}-{theme}-{size}.png", full_page=True)
    context.close()
    assert complaints == []
    assert desk.errors == []


def test_what_is_not_there_is_said_so(desk):
    desk.open("/runs/00000000-0000-7000-8000-000000000000")
    desk.see("There is no")
    reply = desk.page.request.get(f"{desk.service.url}/assets/nothing.js")
    assert reply.status == 404
    deep = desk.page.request.get(f"{desk.service.url}/workflows/some/edit")
    assert (deep.status, deep.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in deep.headers["content-security-policy"]
    assert "unsafe" not in deep.headers["content-security-policy"]
    figures = desk.page.request.get(f"{desk.service.url}/metrics", headers={"accept": "text/plain"})
    assert figures.headers["content-type"].startswith("text/plain")

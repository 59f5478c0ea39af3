"""What there is to connect to, and the page of the web app in front of the API."""


async def test_every_kind_of_connection_has_a_schema_that_marks_its_secrets(client):
    kinds = {one["name"]: one for one in (await client.get("/api/v1/connection-kinds")).json()["items"]}
    assert {"smtp", "imap", "sql", "slack", "http"} <= set(kinds)
    assert kinds["smtp"]["fields"]["properties"]["password"]["secret"] is True
    assert "secret" not in kinds["smtp"]["fields"]["properties"]["host"]
    assert all(one["summary"] for one in kinds.values())


async def test_routes_of_the_web_app_are_its_page_and_figures_stay_figures(client):
    for path in ("/", "/workflows", "/workflows/x/triggers/y", "/settings/audit"):
        reply = await client.get(path)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "unsafe" not in reply.headers["content-security-policy"]
    for path in ("/assets/none.js", "/workflows/x/app.js", "/nowhere"):
        assert (await client.get(path)).status == 404
    assert (await client.post("/workflows", json={})).status in (404, 405)
    shown = await client.get("/metrics", headers={"accept": "text/html,*/*"})
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    read = await client.get("/metrics", headers={"accept": "*/*"})
    assert read.headers["content-type"].startswith("text/plain")

"""Trying triggers out on the command line: listen, simulate, samples, fixtures, check."""

import http.client
import json
import threading
import time

import pytest

ORDERS = {
    "version": 1,
    "name": "orders",
    "triggers": {
        "paid": {"type": "event", "event": "order.paid", "condition": "event.data.amount > 100"},
        "hook": {"type": "webhook", "path": "orders", "signature": {"scheme": "none"}, "methods": ["POST"]},
    },
    "jobs": {"work": {"uses": "noop"}},
}


@pytest.fixture
def wfs(service, command, tmp_path):
    def call(*arguments, form="--json"):
        return command(*arguments, *([form] if form else []), cwd=tmp_path, WFS_SERVER=service.url)

    def write(name, value):
        (tmp_path / name).write_text(value if isinstance(value, str) else json.dumps(value))
        return name

    def post(path, value):
        body, headers = json.dumps(value).encode(), {"content-type": "application/json", "x-secret-token": "s3cret-x"}
        host = service.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    call.write, call.post, call.folder = write, post, tmp_path
    return call


def deployed(wfs):
    assert wfs("deploy", wfs.write("orders.json", ORDERS)).code == 0


def hearing(wfs, *arguments):
    """Run `trigger listen` beside the test; return the thread and what it will hold."""
    found = []
    thread = threading.Thread(target=lambda: found.append(wfs("trigger", "listen", *arguments)))
    thread.start()
    return thread, found


def post_until(wfs, thread, path, value):
    """Post until the command beside has heard one."""
    deadline = time.monotonic() + 20
    while thread.is_alive() and time.monotonic() < deadline:
        assert wfs.post(path, value) in {202, 404}  # 404: the draft is not live yet
        thread.join(0.1)
    thread.join(10)


def test_listen_shows_the_next_real_event_of_a_live_trigger(wfs):
    deployed(wfs)
    thread, found = hearing(wfs, "orders/hook", "--timeout", "20s")
    post_until(wfs, thread, "/api/v1/public/webhook/orders", {"amount": 7})
    (done,) = found
    assert done.code == 0, done.err
    assert (done.json["event"]["data"], done.json["decision"]["outcome"]) == ({"amount": 7}, "run_started")


def test_listen_deploys_a_draft_hears_one_event_starts_nothing_and_leaves_nothing(wfs):
    draft = wfs.write("draft.json", {**ORDERS, "name": "draft", "triggers": {
        "hook": {"type": "webhook", "path": "drafts", "signature": {"scheme": "none"},
                 "condition": "event.data.amount > 5"}}})  # fmt: skip
    thread, found = hearing(wfs, draft, "--timeout", "20s", "--save", "kept.json")
    post_until(wfs, thread, "/api/v1/public/webhook/drafts", {"amount": 7, "password": "hunter2"})
    (done,) = found
    assert done.code == 0, done.err
    assert done.json["decision"]["would_start"] is True
    assert [one["name"] for one in wfs("workflow", "ls").json["items"] if one["name"].startswith("listen-")] == []
    assert [one for one in wfs("runs", "ls").json["items"] if one["workflow"].startswith("listen-")] == []
    kept = json.loads((wfs.folder / "kept.json").read_text())
    assert kept["expect"] == {"draft/hook": True}
    assert "hunter2" not in json.dumps(kept)
    assert "s3cret-x" not in json.dumps(kept)
    checked = wfs("trigger", "check", "draft.json", "kept.json")
    assert (checked.code, checked.json["checked"]) == (0, 1)


def test_listen_hears_with_a_draft_that_asks_its_peer_itself(wfs):
    folder = wfs.folder / "drop"
    folder.mkdir()
    config = {"type": "file", "folder": str(folder), "every": "1s", "settle": "0s", "start": "earliest"}
    wfs.write("drop/1.txt", "hello")
    draft = wfs.write("files.json", {**ORDERS, "name": "files", "triggers": {"in": config}})
    done = wfs("trigger", "listen", draft, "--timeout", "20s")
    assert done.code == 0, done.err
    assert (done.json["event"]["data"]["name"], done.json["decision"]["would_start"]) == ("1.txt", True)


def test_listen_waits_no_longer_than_it_is_told(wfs):
    deployed(wfs)
    assert wfs("trigger", "listen", "orders/paid", "--timeout", "500ms").code == 7
    timer = wfs.write("timer.json", {**ORDERS, "triggers": {"t": {"type": "cron", "cron": "0 2 * * *"}}})
    assert "fires at times" in wfs("trigger", "listen", timer).err


def test_simulate_compares_a_change_with_the_live_version_on_stored_events(wfs):
    deployed(wfs)
    before = len(wfs("runs", "ls", "--workflow", "orders").json["items"])
    ids = [wfs("events", "send", "order.paid", "-d", f"amount={amount}").json["event_id"] for amount in (50, 150, 900)]
    done = wfs("trigger", "simulate", "orders/paid", "--condition", "event.data.amount > 40", "--last", "10")
    assert done.code == 1  # it makes a difference
    assert (done.json["live"]["run_started"], done.json["proposed"]["run_started"]) == (2, 3)
    assert [(one["id"], one["new"]) for one in done.json["would_start"]] == [
        (ids[0], True), (ids[1], False), (ids[2], False)]  # fmt: skip
    changed = {
        **ORDERS,
        "triggers": {"paid": {"type": "event", "event": "order.*", "condition": "event.data.amount > 500"}},
    }
    done = wfs("trigger", "simulate", "orders/paid", "--file", wfs.write("changed.json", changed))
    assert [one["id"] for one in done.json["would_start"]] == [ids[2]]
    changed["triggers"]["paid"] = {"type": "event", "event": "order.paid"}
    done = wfs("trigger", "simulate", "orders/paid", "--file", wfs.write("changed.json", changed))
    assert [one["id"] for one in done.json["would_start"]][-3:] == ids  # the condition is gone
    text = wfs("trigger", "simulate", "orders/paid", "--condition", "event.data.amount > 500", form=None)
    assert f"-  {ids[1]}: filtered (condition_false)" in text.out
    assert wfs("trigger", "simulate", "orders/paid", "--condition", "event.data.amount > 100").code == 0
    assert len(wfs("runs", "ls", "--workflow", "orders").json["items"]) == before + 2


def test_simulate_keeps_rounds_on_a_virtual_clock(wfs):
    for name in ("sales", "stock"):
        value = {"version": 1, "name": name, "triggers": {"m": {"type": "manual"}}, "jobs": {"w": {"uses": "noop"}}}
        assert wfs("deploy", wfs.write("flow.json", value)).code == 0
    after = {"after": {"type": "workflow", "any": ["sales", "stock"]}}
    value = {"version": 1, "name": "report", "triggers": after, "jobs": {"w": {"uses": "noop"}}}
    assert wfs("deploy", wfs.write("flow.json", value)).code == 0
    for name in ("sales", "sales", "stock"):
        assert wfs("run", name, "--wait").code == 0
    value["triggers"] = {"after": {"type": "workflow", "all": ["sales", "stock"], "window": "1h"}}
    done = wfs("trigger", "simulate", "report", "--file", wfs.write("flow.json", value)).json
    assert (done["live"], done["proposed"]) == ({"run_started": 3}, {"absorbed": 2, "run_started": 1})


def test_the_health_of_all_triggers_is_one_table(wfs):
    value = {**ORDERS, "name": "away", "triggers": {"feed": {"type": "sse", "url": "http://127.0.0.1:9/x"}}}
    assert wfs("deploy", wfs.write("away.json", value)).code == 0
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done = wfs("trigger", "health", "--workflow", "away")
        if done.code == 1:
            break
    (one,) = done.json["items"]
    assert one["health"]["status"] == "down"
    text = wfs("trigger", "health", form=None)
    assert text.code == 1
    assert text.out.splitlines()[1].startswith("away/feed")
    assert wfs("trigger", "disable", "away/feed").code == 0
    assert wfs("trigger", "health", "--workflow", "away").code == 0


def test_the_health_of_a_webhook_tells_what_it_refused(wfs):
    hook = {"type": "webhook", "path": "shut", "methods": ["PUT"], "signature": {"scheme": "none"}}
    assert wfs("deploy", wfs.write("shut.json", {**ORDERS, "name": "shut", "triggers": {"hook": hook}})).code == 0
    assert "This address takes" not in wfs("trigger", "health", "shut/hook", form=None).out
    assert wfs.post("/api/v1/public/webhook/shut", {}) == 405
    assert "This address takes PUT." in wfs("trigger", "health", "shut/hook", form=None).out


def test_samples_can_be_sent_and_tried(wfs):
    watch = {"version": 1, "name": "watch", "jobs": {"w": {"uses": "noop"}},
             "triggers": {"down": {"type": "event", "event": ["source_down", "order.paid"]},
                          "pushes": {"type": "webhook", "path": "w", "signature": {"scheme": "none"}}}}  # fmt: skip
    assert wfs("deploy", wfs.write("watch.json", watch)).code == 0
    sent = wfs("events", "send", "--sample", "source_down")
    assert [one["outcome"] for one in sent.json["decisions"]] == ["run_started"]
    sent = wfs("events", "send", "--sample", "order.paid", "-d", "amount=1").json["decisions"]
    assert "run_started" in [one["outcome"] for one in sent]
    wrong = wfs("events", "send", "--sample", "source_don")
    assert wrong.code == 3
    assert "did you mean `source_down`" in wrong.err
    assert wfs("events", "send").code == 2
    tried = wfs("trigger", "test", "watch/pushes", "--sample")
    assert [line["outcome"] for line in tried.json["decisions"]] == ["run_started"]


def test_fixtures_of_stored_events_are_checked_without_a_service(wfs, command):
    deployed(wfs)
    for name, data in (("large", "amount=150"), ("small", "amount=5")):
        event = wfs("events", "send", "order.paid", "-d", data, "-d", "token=abc", "-d", "customer=ada").json[
            "event_id"
        ]
        printed = wfs("events", "fixture", event, "--hide", "data.customer", form=None)
        assert "taken out: data.token, data.customer" in printed.err
        assert "ada" not in printed.out
        wfs.write(f"{name}.fixture.json", printed.out)
    wfs.write("others.json", {**ORDERS, "name": "others", "triggers": {"m": {"type": "manual"}}})

    def check(*files):
        return command("trigger", "check", *files, "--json", cwd=wfs.folder, WFS_SERVER="http://127.0.0.1:9")

    good = check("orders.json", "others.json", "large.fixture.json", "small.fixture.json")
    assert (good.code, good.json["checked"], good.json["failed"]) == (0, 2, 0)
    looser = {**ORDERS, "triggers": {**ORDERS["triggers"], "paid": {"type": "event", "event": "order.paid"}}}
    wfs.write("orders.json", looser)
    bad = check("orders.json", "large.fixture.json", "small.fixture.json")
    assert (bad.code, bad.json["failed"]) == (1, 1)
    (line,) = [one for one in bad.json["items"] if not one["ok"]]
    assert (line["fixture"], line["expected"], line["lets_through"]) == ("small.fixture.json", False, True)
    more = {**ORDERS, "triggers": {**ORDERS["triggers"], "all": {"type": "event", "event": "*"}}}
    wfs.write("orders.json", more)
    bad = check("orders.json", "large.fixture.json")
    assert [(one["trigger"], one["ok"]) for one in bad.json["items"]] == [("paid", True), ("all", False)]
    wfs.write("orders.json", {**ORDERS, "triggers": {"hook": ORDERS["triggers"]["hook"]}})
    assert check("orders.json", "large.fixture.json").code == 1  # the trigger is gone
    assert check("orders.json").code == 2
    wfs.write("broken.fixture.json", {"fixture": 9})
    broken = check("orders.json", "broken.fixture.json")
    assert broken.code == 2
    assert "broken.fixture.json" in broken.err

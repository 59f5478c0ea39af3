"""The payloads that GitHub documents reach exactly the triggers that a plain reading of the rules selects."""

import hashlib
import hmac
import json
import lzma
import re
from collections import Counter
from pathlib import Path

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

PAYLOADS = json.loads(lzma.decompress((Path(__file__).parent / "payloads" / "examples.json.xz").read_bytes()))
SECRET = "the secret of all deliveries"
HELLO = "Codertocat/Hello-World"
RULES = {
    "everything": {"repository": HELLO},
    "owner": {"repository": "Codertocat/*"},
    "organization": {"repository": "Octocoders/*"},
    "elsewhere": {"repository": "octo-org/octo-repo"},
    "some": {"repository": HELLO, "events": ["issues", "release", "star", "team_add"]},
    "main": {"repository": HELLO, "events": {"push": {"branches": ["main", "master"]}}},
    "tagged": {"repository": HELLO, "events": {"push": {"tags": ["simple-*"]}}},
    "removed": {"repository": HELLO, "events": {"push": {"tags": ["simple-*"], "deletions": True}}},
    "opened": {
        "repository": HELLO,
        "events": {"pull_request": {"actions": ["opened", "closed"], "branches": ["mas*"]}},
    },
    "acted": {"repository": HELLO, "events": {"issues": {"actions": ["labeled"]}, "label": {"actions": ["created"]}}},
    "installed": {"repository": HELLO, "github_app_installation_id": 957387},
    "people": {"repository": HELLO, "events": ["check_run", "fork"], "authors": ["^Coder"]},
    "sender": {"repository": "Codertocat/*", "events": ["issue_comment"], "authors": ["hubot"]},
}


def selected(rule, event, body):
    """Return whether a rule wants a delivery: the plain reading, without any index."""
    full_name = (body.get("repository") or {}).get("full_name", "").lower()
    account = body.get("organization") or (body.get("installation") or {}).get("account") or {}
    owner = full_name.partition("/")[0] or str(account.get("login", "")).lower()
    wanted = rule["repository"].lower()
    if not (wanted == full_name or (wanted.endswith("/*") and owner and wanted == f"{owner}/*")):
        return False
    events = rule.get("events")
    if event == "ping" and not events:
        return False
    part = {} if not events or isinstance(events, list) else events.get(event)
    if events and event not in events:
        return False
    installation = rule.get("github_app_installation_id")
    if installation is not None and (body.get("installation") or {}).get("id") != installation:
        return False
    return (not events or _fits(part, event, body)) and _written_by(rule.get("authors"), body)


def _fits(part, event, body):
    if part.get("actions") and body.get("action") not in part["actions"]:
        return False
    ref = body.get("ref", "") if event == "push" else ""
    if event == "push" and body.get("deleted") and not part.get("deletions"):
        return False
    if event == "push" and (part.get("branches") or part.get("tags")):
        kind, _, name = ref.removeprefix("refs/").partition("/")
        patterns = part.get("branches" if kind == "heads" else "tags", [])
        return any(_glob(one, name) for one in patterns)
    if event == "pull_request" and part.get("branches"):
        return any(_glob(one, body["pull_request"]["base"]["ref"]) for one in part["branches"])
    return True


def _glob(pattern, name):
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), name) is not None


def _written_by(patterns, body):
    return not patterns or any(re.search(one, (body.get("sender") or {}).get("login", "")) for one in patterns)


@pytest.fixture
async def service(tmp_path):
    url = f"sqlite:///{tmp_path}/wfs.db"
    settings = Settings(_env_file=None, data=tmp_path, database_url=url, github_webhook_secret=SECRET)
    application = Application(settings)
    await application.start()
    triggers = {name: {"type": "github", **rule} for name, rule in RULES.items()}
    flow = {"version": 1, "name": "flow", "triggers": triggers, "jobs": {"work": {"uses": "noop"}}}
    await application.context.deployments.deploy(LOCAL, "flow", flow)
    yield application
    await application.stop()


async def test_each_documented_payload_reaches_the_triggers_that_want_it(service):
    client = AsgiClient(service.asgi())
    assert len(PAYLOADS) == 329
    names = {one["id"]: one["name"] for one in (await client.get("/api/v1/triggers?limit=100")).json()["items"]}
    wrong, reached = [], Counter()
    for number, (event, body) in enumerate(PAYLOADS):
        content = json.dumps(body).encode()
        digest = hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json", "x-github-event": event, "x-github-delivery": f"d{number}",
            "x-hub-signature-256": f"sha256={digest}",
        }  # fmt: skip
        reply = await client.post("/api/v1/github/webhook?wait=decision", body=content, headers=headers)
        assert reply.status == 202, (event, reply.text)
        got = {names[one["trigger_id"]] for one in reply.json()["decisions"] if one["outcome"] == "run_started"}
        wanted = {name for name, rule in RULES.items() if selected(rule, event, body)}
        reached.update(wanted)
        if got != wanted:
            wrong.append((number, event, body.get("action"), sorted(got - wanted), sorted(wanted - got)))
    assert wrong == []
    assert set(reached) == set(RULES) - {"sender"}
    assert reached["everything"] > 200

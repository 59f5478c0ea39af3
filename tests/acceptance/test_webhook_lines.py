"""The curl lines of docs/how-to/webhooks.md, one per signature scheme, as they stand there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from workflow_scheduler.core.inbound.bearer import make_token
from workflow_scheduler.core.inbound.presets import PRESETS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "webhooks.md"
SECRET = "user:0123456789abcdef0123456789abcdef"
LINES = {
    scheme: line.replace("\\|", "|")
    for scheme, line in re.findall(r"^\| `([a-z0-9-]+)`.* \| `(post.*)` \|$", PAGE.read_text(), re.MULTILINE)
}
ASIDE = {"hmac-sha1", "hmac-sha512"}  # as hmac-sha256


def send(url, path, body):
    request = urllib.request.Request(  # noqa: S310 -- our own service
        url + path, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as reply:  # noqa: S310 -- our own service
        return json.load(reply)


def test_every_scheme_has_a_line_and_each_line_is_taken(service):
    if not (shutil.which("curl") and shutil.which("openssl")):
        pytest.skip("curl or openssl is not installed")
    assert set(LINES) == set(PRESETS) - ASIDE
    send(service.url, "/api/v1/secrets", {"name": "shared", "value": SECRET})
    rules = {
        name: {"scheme": name, **({} if name == "none" else {"secret": "shared"})}
        | ({"header": "X-Signature"} if name.startswith("hmac") else {})
        for name in LINES
    }
    triggers = {
        name.replace("-", "_"): {"type": "webhook", "path": name, "signature": rule} for name, rule in rules.items()
    }
    send(
        service.url,
        "/api/v1/deployment/workflows/lines/deploy",
        {"workflow_spec": {"version": 1, "name": "lines", "triggers": triggers, "jobs": {"a": {"uses": "noop"}}}},
    )
    (setup,) = re.findall(r"```sh\n(BODY=.*?)```", PAGE.read_text(), re.DOTALL)
    token = make_token({"exp": 4_000_000_000}, SECRET)
    calls = "\n".join(
        f"URL={service.url}/api/v1/public/webhook/{name}; {line} >/dev/null || echo {name} failed"
        for name, line in LINES.items()
    )
    done = subprocess.run(
        ["bash", "-c", f"SECRET={SECRET}; TOKEN={token}\n{setup}\n{calls}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")

"""The README's tour and the tutorial do what they say."""

import json
import re
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(name):
    return re.findall(r"```yaml\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


def post(url, value):
    request = urllib.request.Request(  # noqa: S310 -- our own service
        url, json.dumps(value).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 -- our own service
        return json.load(answer)


def test_the_tour_of_the_readme(service, wfs):
    (service.folder / "hello.yaml").write_text(blocks("README.md")[0])
    for command in (["validate"], ["plan"], ["deploy"]):
        assert wfs(*command, "hello.yaml").code == 0
    assert len(wfs("next", "hello", "-n", "3", "--json").json["items"]) == 3
    address = f"{service.url}/api/v1/public/webhook/orders"
    large = post(f"{address}?wait=run", {"amount": 500, "name": "Ada"})
    assert (large["status"], large["output"]["stdout"]) == ("SUCCEEDED", "hello Ada\n")
    small = post(address, {"amount": 5})
    assert [one["workflow"] for one in wfs("runs", "ls", "--json").json["items"]] == ["hello"]
    assert len(wfs("events", "ls", "--provider", "webhook", "--json").json["items"]) == 2
    assert "event.data.amount > 100" in wfs("explain", small["event_id"]).out


def test_the_tutorial(service, wfs):
    sales, mail = blocks("docs/tutorial.md")
    (service.folder / "sales.yaml").write_text(sales)
    (service.folder / "mail.yaml").write_text(mail)
    assert wfs("deploy", "sales.yaml", "mail.yaml").code == 0
    done = wfs("run", "sales", "--wait", "--json").json
    assert (done["status"], done["output"]) == ("SUCCEEDED", 42)
    failing = '{run: "exit 3", retry: {attempts: 3, delay: 10ms}}'
    changed = sales.replace('{run: "echo 41", with: {output: json}}', failing)
    assert failing in changed
    (service.folder / "sales.yaml").write_text(changed)
    assert wfs("deploy", "sales.yaml").code == 0
    failed = wfs("run", "sales", "--wait", "--json")
    assert failed.code == 1
    assert {job["id"]: job["attempt"] for job in failed.json["jobs"]}["north"] == 3
    told = wfs("explain", "mail/after-sales").out
    assert "expected on_success, was FAILED" in told
    assert "expected on_success, was SUCCEEDED" in told
    assert wfs("rollback", "sales@1").code == 0
    assert wfs("run", "sales", "--wait").code == 0
    assert wfs("undeploy", "mail").code == 0
    assert wfs("pause", "sales", "--reason", "holidays", "--until", "24h").code == 0

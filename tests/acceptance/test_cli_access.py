"""Who may do what, from the command line against a real service: keys, log-in, members, the audit log."""

import json
import stat

import pytest


@pytest.fixture(scope="module")
def owner(wfs):
    """The key of the owner; from here on nobody is served without a key."""
    made = wfs("key", "create", "boss", "--role", "owner", "--json")
    assert made.code == 0, made.err
    return made.json["key"]


def test_a_log_in_is_kept_for_its_address_and_forgotten(owner, service, wfs):
    file = service.folder / "config" / "credentials.json"
    at = {"WFS_CONFIG": str(file)}
    assert wfs("workflow", "ls", **at).code == 4

    kept = wfs("login", "--json", stdin=f"{owner}\n", **at)
    assert kept.code == 0, kept.err
    assert (kept.json["role"], kept.json["tenant_id"]) == ("owner", "local")
    assert owner not in kept.out + kept.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert wfs("workflow", "ls", **at).code == 0

    assert wfs("logout", **at).code == 0
    assert owner not in file.read_text()
    assert wfs("workflow", "ls", **at).code == 4


def test_a_wrong_key_is_not_kept(owner, service, wfs):
    file = service.folder / "nothing.json"
    done = wfs("login", stdin="wfs_wrong\n", WFS_CONFIG=str(file))
    assert done.code == 4
    assert not file.exists()


def test_a_broken_file_of_credentials_is_named(service, wfs):
    file = service.folder / "broken.json"
    file.write_text("{")
    done = wfs("workflow", "ls", WFS_CONFIG=str(file))
    assert done.code == 2
    assert "broken.json" in done.err
    assert "login" in done.err


def test_members_are_added_changed_listed_and_removed(owner, wfs):
    at = {"WFS_API_KEY": owner}
    assert wfs("member", "add", "ada", "--email", "ada@example.org", **at).code == 0
    assert wfs("member", "set", "ada", "--role", "viewer", **at).code == 0
    (ada,) = wfs("member", "ls", "--json", **at).json["items"]
    assert (ada["user_id"], ada["role"], ada["email"]) == ("ada", "viewer", "ada@example.org")
    assert wfs("member", "add", "ada", **at).code == 5
    assert wfs("member", "rm", "ada", **at).code == 0
    assert wfs("member", "rm", "ada", **at).code == 3
    assert wfs("member", "add", "bob", "--role", "king", **at).code == 2


def test_a_viewer_is_told_which_role_is_needed_and_the_audit_log_keeps_it(owner, wfs):
    key = wfs("key", "create", "watch", "--role", "viewer", "--json", WFS_API_KEY=owner).json["key"]
    done = wfs("secret", "set", "name", stdin="value", WFS_API_KEY=key)
    assert done.code == 4
    assert "editor" in done.err
    entries = [json.loads(line) for line in wfs("audit", "--jsonl", WFS_API_KEY=owner).out.splitlines()]
    newest = entries[0]
    assert (newest["method"], newest["path"], newest["status"], newest["role"]) == (
        "POST", "/api/v1/secrets", 403, "viewer",
    )  # fmt: skip

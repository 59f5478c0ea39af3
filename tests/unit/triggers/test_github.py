"""GitHub deliveries: signature, filters, lists that GitHub cuts off, and where triggers are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import BadRequest, SignatureInvalid
from workflow_scheduler.core.inbound.github import COMMITS_CAPS, FILES_CAP, facts_of
from workflow_scheduler.core.match.verdict import Predicate, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.testing.hearing import event_from
from workflow_scheduler.triggers import github

FIXTURES = Path(__file__).parents[2] / "fixtures" / "github"


def payload(name: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return {**found, **changes}


def request(event: str, body: Any, kind: str = "application/json") -> PushRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": kind, "x-github-event": event, "x-github-delivery": "72d3162e"}
    return PushRequest("POST", "/api/v1/github/webhook", "", headers, raw, 0)


def config(**values: Any) -> github.Config:
    return github.Config.model_validate({"repository": "Acme/Billing", **values})


def judge(rule: github.Config, event: str, body: Any) -> Verdict:
    heard = github.parse(None, request(event, body))[0]
    verdict = github.matches(rule, EventView(event_from("github", heard)))
    found = set(github.index_keys(rule)) & set(heard.index_keys) and set(github.sub_keys(rule)) & set(heard.sub_keys)
    assert verdict.result is False or found, "a trigger that may match must be found"
    return verdict


def line(verdict: Verdict, name: str) -> Predicate:
    return next(one for one in verdict.predicates if one.name == name)


def push(**rule: Any) -> github.Config:
    return config(events={"push": rule})


def test_a_delivery_is_read() -> None:
    body = payload("push")
    heard = github.parse(None, request("push", body))[0]
    assert heard.type == "github.push"
    assert heard.source == "/github/acme/billing"
    assert heard.subject == "refs/heads/main"
    assert heard.event_key == "72d3162e"
    assert heard.index_keys == ("acme/billing", "acme/*")
    assert heard.sub_keys == ("", "push", "push:refs/heads/main")
    assert json.loads(heard.data) == body
    attributes = json.loads(heard.attributes)
    assert attributes["installation_id"] == "12345678"
    assert attributes["event"] == "push"
    assert github.parse(None, request("pull_request", payload("pull_request_opened")))[0].subject == "pull_request/7"


def test_a_form_delivery_is_read() -> None:
    raw = b"payload=" + quote(json.dumps(payload("push"))).encode()
    heard = github.parse(None, request("push", raw, "application/x-www-form-urlencoded"))[0]
    assert json.loads(heard.data)["ref"] == "refs/heads/main"


@pytest.mark.parametrize(
    ("event", "body", "kind"),
    [
        ("push", b"[]", "application/json"),
        ("push", b"", "application/json"),
        ("push", b"a=1", "application/x-www-form-urlencoded"),
        ("", b"{}", "application/json"),
        ("pu sh", b"{}", "application/json"),
    ],
)
def test_what_is_no_delivery_is_refused(event: str, body: bytes, kind: str) -> None:
    with pytest.raises(BadRequest):
        github.parse(None, request(event, body, kind))


def test_the_signature_of_githubs_documentation() -> None:
    sent = PushRequest("POST", "/", "", {}, b"Hello, World!", 0)
    secret = "It's a Secret to Everybody"
    good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert github.sign(None, sent, secret) == {"x-hub-signature-256": good}
    github.verify(None, PushRequest("POST", "/", "", {"x-hub-signature-256": good}, b"Hello, World!", 0), secret)
    for bad in (good.removeprefix("sha256="), good[:-1], "", good.upper()):
        with pytest.raises(SignatureInvalid):
            github.verify(None, PushRequest("POST", "/", "", {"x-hub-signature-256": bad}, b"Hello, World!", 0), secret)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, True),
        ({"branches": ["main"]}, True),
        ({"branches": "main"}, True),
        ({"branches": ["release/*"]}, False),
        ({"branches": ["**", "!main"]}, False),
        ({"branches-ignore": ["main"]}, False),
        ({"branches_ignore": ["dev"]}, True),
        ({"tags": ["v*"]}, False),
        ({"tags": ["v*"], "branches": ["main"]}, True),
        ({"paths": ["src/**"]}, True),
        ({"paths": ["src/**", "!src/**"]}, False),
        ({"paths": ["*.md"]}, True),
        ({"paths": ["infra/**"]}, False),
        ({"paths-ignore": ["**"]}, False),
        ({"paths-ignore": ["docs/**", "*.md"]}, True),
        ({"authors": ["^grace@"]}, True),
        ({"authors": ["bot$"]}, False),
        ({"branches": ["main"], "paths": ["infra/**"]}, False),
    ],
)
def test_filters_of_a_push(rule: dict[str, Any], expected: bool) -> None:
    assert judge(push(**rule), "push", payload("push")).result is expected


def test_pushes_of_tags() -> None:
    body = payload("push_tag")
    assert judge(push(tags=["v1.*"]), "push", body).result is True
    assert judge(push(tags=["v1.2.0"], paths=["src/**"]), "push", body).result is True  # paths do not apply to tags
    assert judge(push(branches=["main"]), "push", body).result is False
    assert judge(push(**{"tags-ignore": ["v*"]}), "push", body).result is False
    assert judge(push(), "push", body).result is True


def test_deletions_count_only_when_asked() -> None:
    body = payload("push_branch_deleted")
    assert judge(push(), "push", body).result is False
    assert judge(push(deletions=True), "push", body).result is True


def commits(number: int, files: int = 1) -> list[dict[str, Any]]:
    return [{"added": [f"docs/{n}" for n in range(files)], "removed": [], "modified": []}] * number


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"commits": commits(3)}, True),
        ({"commits": commits(COMMITS_CAPS[0])}, False),
        ({"commits": commits(COMMITS_CAPS[0]), "size": 20}, True),
        ({"commits": commits(COMMITS_CAPS[0]), "size": 21}, False),
        ({"commits": commits(COMMITS_CAPS[1])}, False),
        ({"commits": commits(1, FILES_CAP)}, False),
        ({"commits": commits(1, FILES_CAP - 1)}, True),
        ({"commits": [{"id": "x"}]}, False),
        ({"commits": None}, False),
        ({"forced": True}, False),
        ({"created": True, "commits": []}, False),
    ],
)
def test_a_list_at_its_cap_is_unknown_and_fires(changes: dict[str, Any], known: bool) -> None:
    body = payload("push", **changes)
    verdict = judge(push(paths=["infra/**"]), "push", body)
    assert line(verdict, "paths").verdict is (False if known else None)
    assert (verdict.result, verdict.fallback) == ((False, None) if known else (None, "fire"))
    strict = config(events={"push": {"paths": ["infra/**"]}}, on_truncated="unknown")
    assert judge(strict, "push", body).fallback is None


def test_one_known_file_is_enough_in_a_list_that_was_cut_off() -> None:
    body = payload("push", commits=commits(COMMITS_CAPS[1]))
    assert judge(push(paths=["docs/**"]), "push", body).result is True


def test_other_unknowns_do_not_fire_by_themselves() -> None:
    verdict = judge(config(events={"issues": {"branches": ["main"], "paths": ["x"]}}), "issues", payload("ping"))
    assert (verdict.result, verdict.fallback) == (None, None)


def test_pull_requests() -> None:
    body = payload("pull_request_opened")
    assert judge(
        config(events={"pull_request": {"actions": ["opened"], "branches": ["main"]}}), "pull_request", body
    ).result
    assert judge(config(events={"pull_request": {"types": ["closed"]}}), "pull_request", body).result is False
    assert judge(config(events={"pull_request": {"branches": ["dev"]}}), "pull_request", body).result is False
    by_path = judge(config(events={"pull_request": {"paths": ["src/**"]}}), "pull_request", body)
    assert (by_path.result, by_path.fallback) == (None, "fire")


def test_releases_and_ping() -> None:
    release, ping = payload("release_published"), payload("ping")
    assert (
        judge(config(events={"release": {"tags": ["v*"], "actions": ["published"]}}), "release", release).result is True
    )
    assert judge(config(events=["release", "push"]), "release", release).result is True
    assert judge(config(), "release", release).result is True
    assert judge(config(), "ping", ping).result is False
    assert judge(config(events="ping"), "ping", ping).result is True


def test_repository_owner_installation_and_authors() -> None:
    body = payload("push")
    assert judge(config(repository="acme/*"), "push", body).result is True
    assert judge(config(repository="acme/other"), "push", body).result is False
    assert judge(config(github_app_installation_id="12345678"), "push", body).result is True
    assert judge(config(installation_id=99), "push", body).result is False
    assert judge(config(authors=["^ada$"]), "push", body).result is True
    assert judge(config(authors=["^bob$"]), "push", body).result is False


def test_keys_within_a_repository() -> None:
    assert github.sub_keys(push(branches=["main", "dev"])) == ("push:refs/heads/dev", "push:refs/heads/main")
    assert github.sub_keys(push(branches=["main"], tags=["v*"])) == ("push",)
    assert github.sub_keys(push(branches=["main", "!x"])) == ("push",)
    assert github.sub_keys(push(**{"branches-ignore": ["x"]})) == ("push",)
    assert github.sub_keys(push(branches=[f"b{n}" for n in range(30)])) == ("push",)
    assert github.sub_keys(config()) == ("",)


def test_the_configuration_of_the_mission() -> None:
    rule = github.Config.model_validate(
        {
            "github_app_installation_id": "12345678",
            "repository": "owner/repo-name",
            "event_config": {
                "push": {"branches": ["main", "develop"], "paths": ["src/**", "*.md"]},
                "pull_request": {"actions": ["opened", "synchronize"], "branches": ["main"]},
            },
        }
    )
    assert github.index_keys(rule) == ("owner/repo-name",)
    assert github.secret_name(rule) == "GITHUB_WEBHOOK_SECRET"


@pytest.mark.parametrize(
    "bad",
    [
        {"repository": "billing"},
        {"events": {"push": {"branchs": ["main"]}}},
        {"events": ["pull_requests"]},
        {"events": ["Push!"]},
        {"events": {"push": {"branches": ["[x"]}}},
        {"events": {"push": {"branches": ["!x"]}}},
        {"events": {"push": {"branches": ["x"], "branches-ignore": ["y"]}}},
        {"authors": ["("]},
        {"events": {"push": {"authors": ["(?=x)"]}}},
        {"secret": ""},
    ],
)
def test_configurations_that_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**bad)


@pytest.mark.parametrize(
    "event", ["push", "create", "status", "check_run", "workflow_run", "deployment", "merge_group"]
)
@pytest.mark.parametrize("body", [None, [], "x", {}, {"ref": 7, "commits": [[], 7], "branches": [{"name": []}, 3]}])
def test_facts_are_total(event: str, body: Any) -> None:
    assert facts_of(event, body).event == event


@pytest.mark.parametrize(
    ("event", "body", "branches", "tags"),
    [
        ("create", {"ref": "x", "ref_type": "branch"}, ("x",), ()),
        ("delete", {"ref": "v1", "ref_type": "tag"}, (), ("v1",)),
        ("workflow_run", {"workflow_run": {"head_branch": "x"}}, ("x",), ()),
        ("check_run", {"check_run": {"check_suite": {"head_branch": "x"}}}, ("x",), ()),
        ("merge_group", {"merge_group": {"base_ref": "refs/heads/main"}}, ("main",), ()),
        ("status", {"branches": [{"name": "a"}, {"name": "b"}]}, ("a", "b"), ()),
        ("deployment", {"deployment": {"ref": "main"}}, ("main",), ()),
        ("push", {"ref": "refs/heads/feature/x"}, ("feature/x",), ()),
    ],
)
def test_the_refs_of_other_events(event: str, body: Any, branches: tuple[str, ...], tags: tuple[str, ...]) -> None:
    facts = facts_of(event, body)
    assert (facts.branches, facts.tags) == (branches, tags)

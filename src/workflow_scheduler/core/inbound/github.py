"""What a GitHub delivery says, read defensively: every field may be missing or of another kind.

GitHub cuts lists off: a push names at most 2,048 commits (20 in the event timeline and some older servers) and at most
3,000 files per commit; a pull request names no files at all. A list at its cap is therefore not known to be complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from workflow_scheduler.core.errors import BadRequest
from workflow_scheduler.core.inbound.body import BOM, read_body, read_json
from workflow_scheduler.core.model.event import EventView

EVENTS = frozenset(
    """
    branch_protection_rule check_run check_suite code_scanning_alert commit_comment create delete dependabot_alert
    deploy_key deployment deployment_review deployment_status discussion discussion_comment fork gollum installation
    installation_repositories issue_comment issues label member membership merge_group meta milestone org_block
    organization package page_build ping project public pull_request pull_request_review pull_request_review_comment
    pull_request_review_thread push registry_package release repository repository_dispatch repository_ruleset
    repository_vulnerability_alert secret_scanning_alert security_advisory security_and_analysis sponsorship star status
    sub_issues team team_add watch workflow_dispatch workflow_job workflow_run
    """.split()  # noqa: SIM905 - a list of 60 lines says no more
)
COMMITS_CAPS = (20, 2_048)
FILES_CAP = 3_000
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_HEAD_BRANCH = ("workflow_run", "workflow_job", "check_suite")
_BY = ("pull_request", "issue", "comment", "review", "discussion")


class Facts(msgspec.Struct, frozen=True, gc=False):
    """The parts of a delivery that filters look at.

    `branches` are short names; for pull requests the base branch. `files` is None where GitHub does not send a list;
    `files_note` says why it may be incomplete, None when it is complete.
    """

    event: str
    action: str | None
    repository: str | None
    owner: str | None
    installation: str | None
    branches: tuple[str, ...]
    tags: tuple[str, ...]
    is_ref_event: bool
    deleted: bool
    authors_complete: bool
    files: tuple[str, ...] | None
    files_note: str | None
    body: dict[str, Any]
    commits: list[dict[str, Any]]
    _authors: list[tuple[str, ...]] = msgspec.field(default_factory=list)

    @property
    def authors(self) -> tuple[str, ...]:
        """Who is behind the delivery; looked for on first use, since few triggers ask."""
        if not self._authors:
            self._authors.append(tuple(dict.fromkeys(_authors(self.body, self.commits))))
        return self._authors[0]


def facts_of(event: str, payload: Any) -> Facts:
    """Return the facts of a delivery; total over any JSON."""
    body = payload if isinstance(payload, dict) else {}
    commits = _dicts(body.get("commits"))
    note = _commits_note(body, commits) if event == "push" else None
    files, files_note = _files(event, body, commits, note)
    full_name = _text(body, "repository", "full_name")
    branches, tags = _refs(event, body)
    owner = _text(body, "repository", "owner", "login") or _text(body, "organization", "login")
    if owner is None:
        owner = _text(body, "installation", "account", "login")
    installation = _at(body, "installation", "id")
    return Facts(
        event=event,
        action=_text(body, "action"),
        repository=full_name.lower() if full_name else None,
        owner=(full_name.partition("/")[0] if full_name else owner or "").lower() or None,
        installation=str(installation) if isinstance(installation, (int, str)) else None,
        branches=branches,
        tags=tags,
        is_ref_event=event in ("push", "create", "delete"),
        deleted=event == "push" and body.get("deleted") is True,
        authors_complete=note is None,
        files=files,
        files_note=files_note,
        body=body,
        commits=commits,
    )


def facts_in(event: EventView) -> Facts:
    """Return the facts of an event; made once, however many triggers look at it."""
    found: Facts | None = event.__dict__.get("github_facts")
    if found is None:
        attributes = event.attributes if isinstance(event.attributes, dict) else {}
        kind = attributes.get("event")
        kind = kind if isinstance(kind, str) else event.event.type.removeprefix("github.")
        found = facts_of(kind, event.data)
        files = attributes.get("files")
        if isinstance(files, list):  # all of them, as GitHub told when it was asked
            found = msgspec.structs.replace(found, files=tuple(map(str, files)), files_note=None)
        event.__dict__["github_facts"] = found
    return found


def payload_of(body: bytes, content_type: str) -> tuple[bytes, dict[str, Any]]:
    """Return the payload as JSON bytes and as an object; GitHub sends JSON, or a form with a field `payload`.

    Raises:
        BadRequest: it is neither.

    """
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        form = read_json(read_body(body, content_type).data)
        text = form.get("payload") if isinstance(form, dict) else None
        if not isinstance(text, str):
            raise BadRequest("The form has no field `payload`.")
        body = text.encode()
    data = body.removeprefix(BOM)
    payload = read_json(data)
    if not isinstance(payload, dict):
        raise BadRequest("The payload is not a JSON object.")
    return data, payload


def subject_of(facts: Facts, payload: dict[str, Any]) -> str | None:
    """Return what a delivery is about: `pull_request/7`, `issue/7`, a ref, or the repository."""
    for kind in ("pull_request", "issue"):
        number = _at(payload, kind, "number")
        if isinstance(number, int):
            return f"{kind}/{number}"
    refs = _refs_of(facts)
    return refs[0] if refs else facts.repository


def event_sub_keys(facts: Facts) -> tuple[str, ...]:
    """Return where the triggers of a delivery are found within one repository."""
    return ("", facts.event, *(f"{facts.event}:{ref}" for ref in _refs_of(facts)))


def _refs_of(facts: Facts) -> list[str]:
    return [_HEADS + name for name in facts.branches] + [_TAGS + name for name in facts.tags]


def _at(value: Any, *path: str) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _text(value: Any, *path: str) -> str | None:
    found = _at(value, *path)
    return found if isinstance(found, str) and found else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _refs(event: str, body: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the branches and the tags that a delivery is about."""
    if event == "push":
        return _split(_text(body, "ref"))
    if event in ("create", "delete"):
        ref = _text(body, "ref")
        prefix = _TAGS if body.get("ref_type") == "tag" else _HEADS
        return _split(prefix + ref if ref else None)
    if event == "release":
        return (), _named(_text(body, "release", "tag_name"))
    if event == "status":
        return tuple(name for one in _dicts(body.get("branches")) if (name := _text(one, "name"))), ()
    return _named(_branch(event, body)), ()


def _branch(event: str, body: dict[str, Any]) -> str | None:
    if event in _HEAD_BRANCH:
        return _text(body, event, "head_branch")
    if event == "check_run":
        return _text(body, "check_run", "check_suite", "head_branch")
    if event in ("deployment", "deployment_status"):
        return _text(body, "deployment", "ref")
    if event == "merge_group":
        return (_text(body, "merge_group", "base_ref") or "").removeprefix(_HEADS) or None
    return _text(body, "pull_request", "base", "ref")


def _split(ref: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if ref is None:
        return (), ()
    if ref.startswith(_TAGS):
        return (), (ref.removeprefix(_TAGS),)
    return (ref.removeprefix(_HEADS),), ()


def _named(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _commits_note(body: dict[str, Any], commits: list[dict[str, Any]]) -> str | None:
    size = body.get("size")
    if isinstance(size, int) and not isinstance(size, bool):
        return f"GitHub sent {len(commits)} of {size} commits" if size > len(commits) else None
    if len(commits) in COMMITS_CAPS or len(commits) > COMMITS_CAPS[-1]:
        return f"the list of commits is at GitHub's cap of {len(commits):,}"
    return None


def _files(
    event: str, body: dict[str, Any], commits: list[dict[str, Any]], note: str | None
) -> tuple[tuple[str, ...] | None, str | None]:
    """Return the changed files that are known, and why the list may be incomplete."""
    if event != "push":
        return None, "GitHub does not send the changed files with this event"
    if not isinstance(body.get("commits"), list):
        return None, "the delivery has no list of commits"
    files: list[str] = []
    for commit in commits:
        listed = [commit.get(kind) for kind in ("added", "removed", "modified")]
        if not all(isinstance(one, list) for one in listed):
            note = note or "a commit has no list of files"
        names = [name for one in listed if isinstance(one, list) for name in one if isinstance(name, str)]
        if len(names) >= FILES_CAP:
            note = note or f"a commit's list of files is at GitHub's cap of {FILES_CAP:,}"
        files += names
    if body.get("forced") is True:
        note = note or "a forced push may take back files that its commits do not name"
    if body.get("created") is True and not commits:
        note = note or "a new branch without commits of its own names no files"
    return tuple(dict.fromkeys(files)), note


def _authors(body: dict[str, Any], commits: list[dict[str, Any]]) -> Iterator[str]:
    """Yield names, addresses and logins of who is behind a delivery: commit authors, pusher, sender, author."""
    people: list[Any] = [commit.get("author") for commit in commits]
    people += [_at(body, "head_commit", "author"), body.get("pusher"), body.get("sender")]
    people += [_at(body, kind, "user") for kind in _BY] + [_at(body, "release", "author")]
    for person in people:
        for key in ("login", "username", "name", "email"):
            name = _text(person, key)
            if name is not None:
                yield name

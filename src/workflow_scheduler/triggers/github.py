"""A GitHub webhook delivery: pushes, pull requests, releases, issues and every other event of a repository.

`repository` is `owner/name`, or `owner/*` for all of an owner. `events` lists the events, each with its own filters:
`branches`, `tags` and `paths` by GitHub's rules (also with `-ignore`), `actions`, and `authors` as regular expressions.
Deliveries go to `/api/v1/github/webhook` and are checked with `secret` (X-Hub-Signature-256); the delivery id makes
each count once. Where `events` names `push`, one that deletes a branch or tag counts only with `deletions: true`.

Where the service has a GitHub App and no `secret` is named, the App delivers: its installation is looked up at deploy.

GitHub cuts long file lists off, and sends none with pull requests: by the App or a `connection` they are asked for.
Where `paths` stays undecided the workflow runs, unless `on_truncated: unknown` leaves it to `on_unknown`. Deliveries
that failed are asked for in the same way, every five minutes: GitHub itself does not try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import msgspec
import re2
from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator

from workflow_scheduler.core.errors import BadRequest, Rejected, SchedulerError, did_you_mean
from workflow_scheduler.core.inbound import signature as signatures
from workflow_scheduler.core.inbound.github import (
    EVENTS,
    Facts,
    event_sub_keys,
    facts_in,
    facts_of,
    payload_of,
    subject_of,
)
from workflow_scheduler.core.inbound.github_api import NO_APP, NO_APP_FIX, GitHubApi, api_of_app
from workflow_scheduler.core.inbound.github_files import files_of
from workflow_scheduler.core.inbound.github_hooks import Wanted, hooked
from workflow_scheduler.core.inbound.github_missed import AppHook, OwnHooks, missed
from workflow_scheduler.core.inbound.github_reach import APP_SECRET, Reach, reached
from workflow_scheduler.core.inbound.identity import digest
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.changes import authors_line
from workflow_scheduler.core.match.fields import Patterns
from workflow_scheduler.core.match.github_rule import Rule, event_line, repository_line, rule_keys, rule_lines, rules
from workflow_scheduler.core.match.verdict import Predicate, Verdict, conjunction
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.resolving import Resolved, Resolving
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard, PushRequest

name = "github"
title = "GitHub"
icon = "brand-github"
shape = "push"
since = "0.1"
extras = ""

MISSED_SECONDS = 300.0
FILES_SECONDS = 6.0  # GitHub gives up after ten
_REPOSITORY_NAME = re2.compile(r"[A-Za-z0-9_.-]+/(?:[A-Za-z0-9_.-]+|\*)")
_SUB_KEYS_MAX = 20
_SIGNATURE = "x-hub-signature-256"
_HIDDEN = frozenset({_SIGNATURE, "x-hub-signature", "authorization", "cookie", "proxy-authorization"})
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which deliveries of which repository start the workflow."""

    repository: str = Field(
        max_length=201,
        title="Repository",
        description="`owner/name`, or `owner/*` for every repository of the owner.",
        json_schema_extra={"ui": {"placeholder": "acme/billing"}},
    )
    secret: str = Field(
        default=APP_SECRET,
        min_length=1,
        title="Secret",
        description="The name of the stored secret that GitHub signs with. Default: the one of the whole service.",
        json_schema_extra={"secret": True, "ui": {"widget": "secret"}},
    )
    events: Annotated[
        dict[str, Rule],
        BeforeValidator(rules, json_schema_input_type=str | list[str] | dict[str, Rule | None]),
    ] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("events", "event_config"),
        max_length=100,
        title="Events",
        description="A list of events, or each with its filters. None: every event but `ping`.",
        json_schema_extra={"ui": {"widget": "github-events"}},
    )
    authors: Patterns = Field(
        default=(),
        title="Authors",
        description="Regular expressions (RE2) for every event, see the same filter of one event.",
        json_schema_extra={"ui": {"widget": "tags"}},
    )
    installation: Annotated[str | None, BeforeValidator(lambda value: str(value) if type(value) is int else value)] = (
        Field(
            default=None,
            validation_alias=AliasChoices("github_app_installation_id", "installation", "installation_id"),
            serialization_alias="github_app_installation_id",
            title="App installation",
            description="Only deliveries of this installation of the GitHub App.",
        )
    )
    via: Literal["app", "webhook"] | None = Field(
        default=None,
        title="Delivered by",
        description="`app`: the GitHub App of the service; `webhook`: a webhook with `secret`. Default: the App where "
        "there is one and no `secret` is named.",
    )
    create_hook: bool = Field(
        default=False,
        title="Create the webhook",
        description="Have the deployment make or update the webhook at GitHub, with `secret`; the token of "
        "`connection` must be allowed to.",
    )
    connection: Line | None = Field(
        default=None,
        title="Connection",
        description="A connection of kind `http` with a token that may read what GitHub leaves out; with the App, one "
        "of an owner of the account, once.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "http"}},
    )
    on_truncated: Literal["fire", "unknown"] = Field(
        default="fire",
        title="When GitHub cuts off the file list",
        description="`fire`: the workflow runs; `unknown`: `on_unknown` decides.",
    )

    @field_validator("repository")
    @classmethod
    def _is_a_repository(cls, repository: str) -> str:
        if _REPOSITORY_NAME.fullmatch(repository) is None:
            message = f"`{repository}` is not a repository; write `owner/name`, or `owner/*` for all of an owner"
            raise ValueError(message)
        return repository

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.create_hook and (self.via == "app" or self.connection is None):
            message = "`create_hook` needs a `connection` with a token that may manage webhooks"
            raise ValueError("`create_hook` is for webhooks: the App has its own" if self.via == "app" else message)
        if self.via == "app" and self.secret != APP_SECRET:
            message = f"the deliveries of the App are checked with {APP_SECRET}: leave `secret` out with `via: app`"
            raise ValueError(message)
        return self

    @field_validator("events")
    @classmethod
    def _known_events(cls, events: dict[str, Rule]) -> dict[str, Rule]:
        for event in events:
            near = did_you_mean(event, EVENTS) if event not in EVENTS else None
            if near is not None:
                message = f"unknown event `{event}`, did you mean `{near}`?"
                raise ValueError(message)
            if not (event.isascii() and event.replace("_", "").isalnum() and event == event.lower()):
                message = f"`{event}` is not the name of a GitHub event"
                raise ValueError(message)
        return events


_REPOSITORY = {"id": 186853002, "full_name": "acme/billing", "owner": {"login": "acme"}}
_PUSH = {
    "ref": "refs/heads/main",
    "created": False,
    "deleted": False,
    "forced": False,
    "repository": _REPOSITORY,
    "sender": {"login": "ada"},
    "commits": [
        {"author": {"name": "Ada", "email": "ada@acme.test"}, "added": [], "removed": [], "modified": ["src/app.py"]}
    ],
}
_OPENED = {
    "action": "opened",
    "number": 7,
    "pull_request": {"number": 7, "base": {"ref": "main"}, "head": {"ref": "fix"}, "user": {"login": "ada"}},
    "repository": _REPOSITORY,
    "sender": {"login": "ada"},
}
examples = (
    Example(
        title="Pushes to main or a release branch that change the sources",
        config={
            "repository": "acme/billing",
            "secret": "gh_secret",
            "events": {"push": {"branches": ["main", "release/*"], "paths": ["src/**"]}},
        },
        event={"headers": {"x-github-event": "push", "x-github-delivery": "72d3162e-cc78-11e3-81ab"}, "body": _PUSH},
    ),
    Example(
        title="Pull requests against main that people open",
        config={
            "repository": "acme/billing",
            "github_app_installation_id": None,
            "event_config": {"pull_request": {"actions": ["opened", "synchronize"], "branches": ["main"]}},
            "authors": ["^[a-z]+$"],
        },
        event={"headers": {"x-github-event": "pull_request"}, "body": _OPENED},
    ),
)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the repository in lower case; GitHub's names ignore case."""
    return (config.repository.lower(),)


def sub_keys(config: Config) -> tuple[str, ...]:
    """Return the events that count, with the branch or tag where only plain names are given."""
    keys = [key for event, rule in config.events.items() for key in rule_keys(event, rule)]
    if len(keys) > _SUB_KEYS_MAX:
        keys = list(config.events)
    return tuple(dict.fromkeys(keys)) or ("",)


def secret_name(config: Config) -> str | None:
    """Return the name of the secret that deliveries are checked with; the App's is the service's own."""
    return None if config.via == "app" else config.secret


def verify(config: Config | None, request: PushRequest, secret: str | None) -> None:  # noqa: ARG001 - one endpoint for all
    """Check `X-Hub-Signature-256` over the raw body.

    Raises:
        SignatureInvalid: it is missing or wrong, or the secret is not set.

    """
    key = signatures.secret_bytes(secret)
    expected = b"sha256=" + signatures.sign(key, request.body, "sha256")
    signatures.check(expected, request.headers.get(_SIGNATURE))


def sign(config: Config | None, request: PushRequest, secret: str) -> dict[str, str]:  # noqa: ARG001 - as verify
    """Return the header with which GitHub signs `request`."""
    return {_SIGNATURE: "sha256=" + signatures.sign(secret.encode(), request.body, "sha256").decode()}


def parse(config: Config | None, request: PushRequest) -> list[Heard]:  # noqa: ARG001 - one endpoint for all
    """Return the one event that the delivery is.

    Raises:
        BadRequest: the body is not a JSON object, or the header `X-GitHub-Event` is missing.

    """
    headers = request.headers
    kind = headers.get("x-github-event", "")
    if not (kind.isascii() and kind.replace("_", "").isalnum()):
        raise BadRequest("The header X-GitHub-Event is missing or not a name.", fix="Send what GitHub sends.")
    data, payload = payload_of(request.body, headers.get("content-type", ""))
    facts = facts_of(kind, payload)
    attributes = {
        "method": request.method,
        "path": request.path,
        "headers": {key: value for key, value in headers.items() if key not in _HIDDEN},
        "content_type": headers.get("content-type"),
        "event": kind,
        "action": facts.action,
        "delivery": headers.get("x-github-delivery"),
        "installation_id": facts.installation,
        "repository": facts.repository,
        "signed_with": request.signed_with,
    }
    keys = [facts.repository] if facts.repository else []
    keys += [f"{facts.owner}/*"] if facts.owner else []
    return [
        Heard(
            source=f"/github/{facts.repository or facts.owner or ''}",
            type=f"github.{kind}",
            subject=subject_of(facts, payload),
            event_key=headers.get("x-github-delivery") or None,
            data=data,
            attributes=_encode(attributes),
            index_keys=tuple(keys),
            sub_keys=event_sub_keys(facts),
            traceparent=headers.get("traceparent"),
        )
    ]


async def complete(configs: Sequence[Config], event: EventView, io: SourceIO) -> dict[str, Any] | None:
    """Return the attributes of an event with the files that GitHub did not send, where a trigger asks for them.

    Where they cannot be had in time, the attributes say why.
    """
    facts = facts_in(event)
    if facts.files_note is None:
        return None
    asking = (one for one in configs if (one.connection or one.via == "app") and _asks_for_files(one, facts))
    config = next(asking, None)
    if config is None:
        return None
    try:
        async with asyncio.timeout(FILES_SECONDS):
            files = await files_of(facts, await _api(config, facts.repository or "", io))
    except (SchedulerError, TimeoutError) as error:
        return {**event.attributes, "files_missing": str(error) or f"GitHub did not answer within {FILES_SECONDS:g} s"}
    return None if files is None else {**event.attributes, "files": files}


def _asks_for_files(config: Config, facts: Facts) -> bool:
    rule = config.events.get(facts.event)
    return (
        rule is not None
        and bool(rule.paths or rule.paths_ignore)
        and repository_line(config.repository, facts).verdict is True
    )


async def _api(config: Config, repository: str, io: SourceIO) -> GitHubApi:
    """Return GitHub's API as the App or the connection of a trigger sees it."""
    if config.via == "app":
        return await api_of_app(config.installation or "", repository, io)
    return await GitHubApi.of(config.connection or "", io)


async def resolve(config: Config, around: Resolving) -> Resolved:
    """Find the installation of the GitHub App, where the App delivers; make the webhook, where that is wanted.

    Raises:
        ValidationFailed: the App is not installed there, not the tenant's there, a secret is not set, or the token may
            not make the webhook.
        SchedulerError: GitHub cannot be asked now.

    """
    if config.create_hook:
        wanted = Wanted(config.repository, config.connection or "", config.secret, tuple(config.events))
        return await hooked(wanted, around)
    way = Reach(config.repository, config.via, config.secret, config.installation, config.connection)
    return await reached(way, around)


def source_key(config: Config) -> str | None:
    """Return whose deliveries are looked through for those that were missed; None where nobody can be asked."""
    if config.via == "app":
        return None if config.installation is None else key_of("github app", config.installation)
    if config.connection is None:
        return None
    return key_of(f"{config.connection}/{config.repository.lower()}", config.secret)


def poll_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of polls
    """Return the pause between two looks for what was missed."""
    return MISSED_SECONDS


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """Look for deliveries that never arrived here, and hear them as if they had."""

    def hear(request: PushRequest) -> list[Heard]:
        return parse(config, msgspec.structs.replace(request, signed_with=(config.secret,)))

    access = io.github_app
    if config.via == "app":
        if access is None:
            raise Rejected(NO_APP, fix=NO_APP_FIX)
        return await missed(AppHook(access, config.installation or ""), cursor, io, hear)
    api = await GitHubApi.of(config.connection or "", io)
    return await missed(OwnHooks(api, config.repository, digest(io.tenant_id, config.secret)), cursor, io, hear)


def matches(config: Config, event: EventView) -> Verdict:
    """Compare repository, event, action, refs, files and authors; what GitHub did not send is unknown."""
    facts = facts_in(event)
    lines = [repository_line(config.repository, facts), event_line(config.events, facts)]
    signed = event.attributes.get("signed_with") if isinstance(event.attributes, dict) else None
    if signed:  # one delivery is heard for all triggers of a tenant; it counts for those whose own secret it passed
        lines.append(Predicate("secret", config.secret, signed, config.secret in signed))
    if config.installation is not None:
        fits = None if facts.installation is None else facts.installation == config.installation
        lines.append(Predicate("installation", config.installation, facts.installation, fits))
    if config.authors:
        lines.append(authors_line(config.authors, facts.authors, complete=facts.authors_complete))
    rule = config.events.get(facts.event)
    if rule is not None and lines[0].verdict is True:
        lines += rule_lines(rule, facts)
    verdict = conjunction(lines)
    if verdict.result is None and config.on_truncated == "fire":
        undecided = [line for line in lines if line.verdict is None]
        if all(_is_cut_off(line, facts) for line in undecided):
            return Verdict(result=None, predicates=verdict.predicates, fallback="fire")
    return verdict


def _is_cut_off(line: Predicate, facts: Facts) -> bool:
    return line.name == "paths" or (line.name == "authors" and not facts.authors_complete)

"""The filters for one event of GitHub, and what each of them says of a delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, Field, field_validator, model_validator

from workflow_scheduler.core.inbound.github import Facts
from workflow_scheduler.core.match.changes import authors_line, files_line, names_line
from workflow_scheduler.core.match.fields import Patterns, Texts
from workflow_scheduler.core.match.glob import compile_globs
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.registry import Config as BaseConfig


def _globs(title: str, hyphened: str | None = None) -> Any:
    names = (hyphened, hyphened.replace("-", "_")) if hyphened else None
    return Field(
        default=(),
        validation_alias=AliasChoices(*names) if names else None,
        serialization_alias=hyphened,
        title=title,
        description="Patterns by GitHub's rules: `main`, `release/*`, `src/**`, `!docs/**`.",
        json_schema_extra={"ui": {"widget": "tags"}},
    )


_ALWAYS_WITH_REF = frozenset({"push", "pull_request", "pull_request_review", "pull_request_review_comment"})


class Rule(BaseConfig):
    """The filters for one event; all that are given must fit."""

    branches: Texts = _globs("Branches")
    branches_ignore: Texts = _globs("Branches to leave out", "branches-ignore")
    tags: Texts = _globs("Tags")
    tags_ignore: Texts = _globs("Tags to leave out", "tags-ignore")
    paths: Texts = _globs("Changed files")
    paths_ignore: Texts = _globs("Changed files to leave out", "paths-ignore")
    actions: Texts = Field(
        default=(),
        validation_alias=AliasChoices("actions", "types"),
        title="Actions",
        description="For example `opened`, `synchronize`, `published`.",
        json_schema_extra={"ui": {"widget": "tags"}},
    )
    authors: Patterns = Field(
        default=(),
        title="Authors",
        description="Regular expressions (RE2), searched in names, addresses and logins of commit authors and sender.",
        json_schema_extra={"ui": {"widget": "tags"}},
    )
    deletions: bool = Field(
        default=False, title="Deletions", description="Whether a push that deletes a branch or tag counts."
    )

    @field_validator("branches", "branches_ignore", "tags", "tags_ignore", "paths", "paths_ignore")
    @classmethod
    def _globs_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        compile_globs(patterns)
        return patterns

    @model_validator(mode="after")
    def _one_of_each(self) -> Rule:
        for kind in ("branches", "tags", "paths"):
            if getattr(self, kind) and getattr(self, f"{kind}_ignore"):
                message = f"use either `{kind}` (with `!pattern` to leave out) or `{kind}-ignore`, not both"
                raise ValueError(message)
        return self


def rules(value: object) -> object:
    """Read a list of event names, one name, or a mapping with empty entries."""
    if isinstance(value, str):
        value = (value,)
    if isinstance(value, (list, tuple)):
        return {one: {} for one in value} if all(isinstance(one, str) for one in value) else value
    if isinstance(value, dict):
        return {key: {} if part is None else part for key, part in value.items()}
    return value


def rule_lines(rule: Rule, facts: Facts) -> list[Predicate]:
    """Return what the filters of one event say of a delivery."""
    lines: list[Predicate] = []
    if rule.actions:
        fits = None if facts.action is None else facts.action in rule.actions
        lines.append(Predicate("actions", list(rule.actions), facts.action, fits))
    if facts.deleted and not rule.deletions:
        lines.append(Predicate("deletions", expected=False, actual=True, verdict=False))
    lines += _ref_lines(rule, facts)
    if (rule.paths or rule.paths_ignore) and not (facts.event == "push" and facts.tags):
        lines.append(files_line(rule.paths, rule.paths_ignore, facts.files, facts.files_note))
    if rule.authors:
        lines.append(authors_line(rule.authors, facts.authors, complete=facts.authors_complete))
    return lines


def _ref_lines(rule: Rule, facts: Facts) -> list[Predicate]:
    """Return the lines for branches and tags; filters for one kind of ref leave pushes of the other kind out."""
    if facts.branches and not (facts.tags or rule.tags or rule.tags_ignore):
        if not (rule.branches or rule.branches_ignore):
            return []
        return [names_line("branches", rule.branches, rule.branches_ignore, facts.branches)]
    kinds = {
        "branches": (rule.branches, rule.branches_ignore, facts.branches),
        "tags": (rule.tags, rule.tags_ignore, facts.tags),
    }
    given = [kind for kind, (wanted, ignored, _) in kinds.items() if wanted or ignored]
    if not facts.is_ref_event or not (facts.branches or facts.tags):
        return [names_line(kind, *kinds[kind]) for kind in given]
    actual = "tags" if facts.tags else "branches"
    if given and actual not in given:
        wanted, ignored, _ = kinds[given[0]]
        note = f"only pushes of {given[0]} are wanted"
        return [Predicate(given[0], list(wanted or ignored), kinds[actual][2][0], verdict=False, note=note)]
    return [names_line(actual, *kinds[actual])] if given else []


def repository_line(repository: str, facts: Facts) -> Predicate:
    """Compare the repository; for `owner/*` the owner."""
    wanted = repository.lower()
    owner, _, name = wanted.partition("/")
    if name == "*":
        fits = None if facts.owner is None else facts.owner == owner
        return Predicate("repository", repository, facts.repository or facts.owner, fits)
    fits = None if facts.repository is None else facts.repository == wanted
    return Predicate("repository", repository, facts.repository, fits)


def event_line(events: Mapping[str, Rule], facts: Facts) -> Predicate:
    """Compare the event; where none is named, every one but `ping` counts."""
    if not events:
        return Predicate("event", "any but ping", facts.event, facts.event != "ping")
    return Predicate("event", list(events), facts.event, facts.event in events)


def rule_keys(event: str, rule: Rule) -> list[str]:
    """Return the finer keys of an event: with each branch and tag, where only plain names are given."""
    if event not in _ALWAYS_WITH_REF:
        return [event]
    keys: list[str] = []
    for kind, patterns in (("heads", rule.branches), ("tags", rule.tags)):
        literals = compile_globs(patterns).literals
        if literals is None:
            return [event]
        keys += [f"{event}:refs/{kind}/{one}" for one in sorted(literals)]
    return [event] if not keys or rule.branches_ignore or rule.tags_ignore else keys

"""Made from the trigger type `github` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class GitHub(Trigger):
    """A GitHub webhook delivery: pushes, pull requests, releases, issues and every other event of a repository.

    Attributes:
        repository: `owner/name`, or `owner/*` for every repository of the owner.
        secret: The name of the stored secret that GitHub signs with. Default: the one of the whole service.
        events: A list of events, or each with its filters. None: every event but `ping`.
        authors: Regular expressions (RE2) for every event, see the same filter of one event.
        github_app_installation_id: Only deliveries of this installation of the GitHub App.
        via: `app`: the GitHub App of the service; `webhook`: a webhook with `secret`. Default: the App …
        create_hook: Have the deployment make or update the webhook at GitHub, with `secret`; the token of …
        connection: A connection of kind `http` with a token that may read what GitHub leaves out; with the App, …
        on_truncated: `fire`: the workflow runs; `unknown`: `on_unknown` decides.

    """

    type: ClassVar[str] = "github"
    repository: str
    _: KW_ONLY
    secret: str | UnsetType = UNSET
    events: str | Sequence[str] | Mapping[str, Any] | UnsetType = UNSET
    authors: str | Sequence[str] | UnsetType = UNSET
    github_app_installation_id: str | UnsetType | None = UNSET
    via: Literal["app", "webhook"] | UnsetType | None = UNSET
    create_hook: bool | UnsetType = UNSET
    connection: str | UnsetType | None = UNSET
    on_truncated: Literal["fire", "unknown"] | UnsetType = UNSET

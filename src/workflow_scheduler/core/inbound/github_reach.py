"""By which way GitHub's deliveries reach a trigger: the App of the service, or a webhook; decided at deploy."""

from __future__ import annotations

from typing import Final, NamedTuple

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.ports.resolving import GitHubPlace, Resolved, Resolving

APP_SECRET: Final = "GITHUB_WEBHOOK_SECRET"  # noqa: S105 -- the name of a secret


class Reach(NamedTuple):
    """What a trigger says about the way."""

    repository: str
    via: str | None
    secret: str
    installation: str | None
    connection: str | None


async def reached(wanted: Reach, around: Resolving) -> Resolved:
    """Return `via` and the installation where the App delivers; nothing where a webhook does.

    Raises:
        ValidationFailed: the App is not there, not installed, or not the tenant's, or a secret is not set.
        SchedulerError: GitHub cannot be asked now.

    """
    if wanted.via == "app" and not around.has_github_app:
        fix = "Have GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY set, or add a webhook and write `via: webhook`."
        raise ValidationFailed.at("via", "this service has no GitHub App", fix)
    if wanted.via == "webhook" or not around.has_github_app or wanted.secret != APP_SECRET:
        if around.has_github_app and wanted.secret == APP_SECRET:
            await secret_of(wanted.secret, around)
        return Resolved()
    account, _, name = wanted.repository.partition("/")
    place = GitHubPlace(account, None if name == "*" else wanted.repository, wanted.connection)
    found = await around.github_installation(place)
    if wanted.installation not in (None, found):
        message = f"the App's installation at `{wanted.repository}` is {found}, not {wanted.installation}"
        raise ValidationFailed.at("github_app_installation_id", message, "Leave it out.")
    return Resolved({"via": "app", "github_app_installation_id": found})


async def secret_of(name: str, around: Resolving) -> str:
    """Return the secret that deliveries are signed with.

    Raises:
        ValidationFailed: it is not set.

    """
    secret = await around.secret(name)
    if secret is None:
        fix = f"set it: workflow-scheduler secret set {name}"
        raise ValidationFailed.at("secret", f"the secret `{name}` is not set", fix)
    return secret

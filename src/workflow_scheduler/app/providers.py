"""The providers at which people consent, as the settings describe them."""

from __future__ import annotations

from workflow_scheduler.core.model.consent import Provider
from workflow_scheduler.settings import Settings


def providers(settings: Settings) -> dict[str, Provider]:
    """Return the providers by name; those without client id and secret are there too, and say so."""
    github, slack = settings.github_url.rstrip("/"), settings.slack_url.rstrip("/")
    found = (
        Provider(
            name="github", title="GitHub", kind="http",
            authorize_url=f"{github}/login/oauth/authorize", token_url=f"{github}/login/oauth/access_token",
            api_url=settings.github_api_url.rstrip("/"), scopes=("repo", "admin:repo_hook"), separator=" ", pkce=True,
            client_id=settings.github_client_id, client_secret=settings.github_client_secret.get_secret_value(),
        ),
        Provider(
            name="slack", title="Slack", kind="slack",
            authorize_url=f"{slack}/oauth/v2/authorize", token_url=f"{slack}/api/oauth.v2.access",
            api_url=f"{slack}/api", separator=",", pkce=False,
            scopes=(
                "chat:write", "channels:read", "groups:read", "users:read", "channels:history", "app_mentions:read",
            ),
            client_id=settings.slack_client_id, client_secret=settings.slack_client_secret.get_secret_value(),
        ),
        Provider(
            name="google", title="Google", kind="google", authorize_url=settings.google_authorize_url,
            token_url=settings.google_token_url, api_url="https://www.googleapis.com", separator=" ", pkce=True,
            scopes=("openid", "email", "https://www.googleapis.com/auth/calendar.readonly"),
            client_id=settings.google_client_id, client_secret=settings.google_client_secret.get_secret_value(),
            # Without both, Google gives a refresh token at the first consent only.
            extra={"access_type": "offline", "prompt": "consent"},
        ),
    )  # fmt: skip
    return {one.name: one for one in found}

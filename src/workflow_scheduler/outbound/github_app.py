"""Requests to GitHub in the name of a GitHub App, and of its installations.

Sources: "Generating a JSON Web Token (JWT) for a GitHub App" (RS256, ten minutes at most, `iat` a minute back),
"Authenticating as a GitHub App installation" (a token ends after an hour), GitHub REST API, "GitHub Apps" and "GitHub
App webhooks".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from workflow_scheduler.core.errors import FieldError, NotConnected, ValidationFailed
from workflow_scheduler.core.inbound.answers import own_errors
from workflow_scheduler.core.inbound.github_api import GitHubApi
from workflow_scheduler.core.inbound.github_missed import listed
from workflow_scheduler.core.model.github import Delivery, Installation, installation_of
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest, Outbound
from workflow_scheduler.core.time.clock import MINUTE_US, SECOND_US, Clock, from_iso

BACK_SECONDS: Final = 60
VALID_SECONDS: Final = 540
EARLY_US: Final = 5 * MINUTE_US
TOKENS_MAX: Final = 10_000
LISTED_US: Final = 30 * SECOND_US
LISTED_MAX: Final = 100_000
HOOK: Final = "/app/hook/deliveries"
_KEY_SETTING: Final = "GITHUB_APP_PRIVATE_KEY"


class Token(NamedTuple):
    """An installation access token, when it ends (microseconds UTC), and whether it was made just now."""

    value: str
    expires_at: int
    fresh: bool = False


class AppKey:
    """The App's id and private key."""

    def __init__(self, app_id: str, pem: str) -> None:
        """Read the key; line breaks may be written as a backslash and an n.

        Raises:
            ValidationFailed: it is no RSA key.

        """
        from joserfc import jwk
        from joserfc.errors import JoseError

        self._app_id = app_id
        try:
            key = jwk.RSAKey.import_key(pem.replace("\\n", "\n"))
        except (JoseError, ValueError, TypeError):
            key = None
        if key is None or not key.is_private:
            message = "is not the private key of a GitHub App (PEM, RSA)"
            raise ValidationFailed(
                f"{_KEY_SETTING} {message}",
                errors=[FieldError(_KEY_SETTING, message)],
                fix="Take the file that GitHub gave for the App, with its line breaks, or with \\n for each.",
            )
        self._key = key

    def token(self, now: int) -> str:
        """Return a token of the App itself, good for nine minutes from `now` (microseconds)."""
        from joserfc import jwt

        seconds = now // SECOND_US
        claims = {"iat": seconds - BACK_SECONDS, "exp": seconds + VALID_SECONDS, "iss": self._app_id}
        return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self._key)


class GitHubAppClient:
    """The App at GitHub. Tokens are kept in memory until shortly before they end, each for one repository."""

    def __init__(self, key: AppKey, base: str, outbound: Outbound, clock: Clock) -> None:
        """Ask the API at `base`."""
        self.base = base.rstrip("/")
        self._key = key
        self._outbound = outbound
        self._clock = clock
        self._api = GitHubApi(self.base, self.send, clock.now, self._sign)
        self._tokens: dict[tuple[int, str], Token] = {}
        self._listing = _Listing()
        self._lock = asyncio.Lock()

    async def installation(self, account: str, repository: str | None) -> Installation | None:
        """Return the installation that covers `owner/name`, or without one the account; None where none does.

        Raises:
            Rejected, RetryAfter, NotConnected: as GitHub answers.

        """
        if not {".", ".."}.isdisjoint((repository or account).split("/")):
            return None  # no name, but a step in the path
        if repository is not None:
            return installation_of(await self._api.find(f"/repos/{repository}/installation"))
        for kind in ("orgs", "users"):
            found = installation_of(await self._api.find(f"/{kind}/{quote(account, safe='')}/installation"))
            if found is not None:
                return found
        return None

    async def token(self, installation: int, repository: str, *, again: bool = False) -> Token:
        """Return a token for one repository (its name alone); `again`: not the one before.

        Raises:
            Rejected, RetryAfter, NotConnected: as GitHub answers.

        """
        key = (installation, repository.lower())
        held = None if again else self._tokens.get(key)
        if held is not None and held.expires_at - EARLY_US > self._clock.now():
            return held
        told = await self._api.write(
            "POST", f"/app/installations/{installation}/access_tokens", {"repositories": [repository]}
        )
        value, until = (told.get("token"), told.get("expires_at")) if isinstance(told, dict) else (None, None)
        if not isinstance(value, str) or not isinstance(until, str):
            raise NotConnected(f"{self.base} answered without a token")
        self._tokens.pop(key, None)
        if len(self._tokens) >= TOKENS_MAX:
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[key] = Token(value, from_iso(until))
        return self._tokens[key]._replace(fresh=True)

    def forget(self, installation: int) -> None:
        """Keep no token of an installation any more."""
        for key in [key for key in self._tokens if key[0] == installation]:
            del self._tokens[key]

    async def deliveries(self, after: int | None) -> list[Delivery]:
        """Return the deliveries of the App's hook newer than `after`; those of all installations, asked for together.

        Raises:
            Rejected, RetryAfter, NotConnected: as GitHub answers.

        """
        async with self._lock:
            listing, now = self._listing, self._clock.now()
            if after is None:
                return await listed(self._api, HOOK, None)
            if not listing.answers(after, now):
                since = max(after, listing.newest) if listing.covers(after) else after
                listing.take(await listed(self._api, HOOK, since), since, now)
            return [one for one in listing.found if one.id > after]

    async def delivery(self, delivery: int) -> Any:
        """Return one delivery with its request.

        Raises:
            Rejected, RetryAfter, NotConnected: as GitHub answers.

        """
        return await self._api.get(f"{HOOK}/{delivery}")

    async def ask_as(self, headers: Callable[[str], Mapping[str, str]], path: str) -> Any:
        """Return what somebody else sees at a path, None where there is nothing; `headers` signs for an address.

        Raises:
            Rejected, RetryAfter, NotConnected: as GitHub answers.

        """

        async def sign(url: str, *, again: bool) -> Mapping[str, str]:  # noqa: ARG001 -- there is one token only
            return headers(url)

        return await GitHubApi(self.base, self.send, self._clock.now, sign).find(path)

    async def _sign(self, url: str, *, again: bool) -> Mapping[str, str]:  # noqa: ARG002 -- each is made anew
        return {"authorization": f"Bearer {self._key.token(self._clock.now())}"}

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send a request; what goes wrong on the way is one of two errors.

        Raises:
            NotConnected: GitHub is away.
            Rejected: the request cannot be sent.

        """
        with own_errors():
            return await self._outbound.send(request)


class _Listing:
    """The newest deliveries of the hook, kept for a moment: many installations ask for them at about the same time."""

    def __init__(self) -> None:
        self.found: list[Delivery] = []
        self.newest = 0
        self._floor: int | None = None
        self._at = 0

    def covers(self, after: int) -> bool:
        """Return whether everything newer than `after`, up to the newest that is known, is here."""
        return self._floor is not None and self._floor <= after

    def answers(self, after: int, now: int) -> bool:
        """Return whether there is no need to ask."""
        return self.covers(after) and now - self._at < LISTED_US

    def take(self, there: list[Delivery], since: int, now: int) -> None:
        """Take everything that is newer than `since`."""
        if not self.covers(since):
            self.found, self._floor = [], since
        known = {one.id for one in self.found}
        self.found = sorted([*self.found, *(one for one in there if one.id not in known)], key=lambda one: one.id)
        if len(self.found) > LISTED_MAX:
            self._floor = self.found[-LISTED_MAX - 1].id
            self.found = self.found[-LISTED_MAX:]
        self.newest = max(self.newest, since, *(one.id for one in self.found[-1:]))
        self._at = now

"""Where the GitHub App is installed, and whose each installation is. Most of it is asked about across tenants."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.github import Installation, News
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work

_NAMES = (
    "installation_id", "account_login", "account_type", "repository_selection", "repositories", "permissions",
    "suspended_at", "access_token_expires_at", "user_id", "created_at", "updated_at",
)  # fmt: skip
_SHOWN = f"SELECT {', '.join(_NAMES)} FROM github_installations WHERE tenant_id = :tenant"
_THIS = "installation_id = :number"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An installation as its tenant sees it. Times in microseconds UTC."""

    installation_id: int
    account_login: str
    account_type: str
    repository_selection: str
    repositories: list[str]
    permissions: dict[str, str]
    suspended_at: int | None
    access_token_expires_at: int | None
    user_id: str | None
    created_at: int
    updated_at: int


class InstallationRepository:
    """The rows, over any Store."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def keep(self, found: Installation, now: int) -> None:
        """Store how an installation is, and leave whose it is."""
        await self._store.transact(_keep(News(installation=found, gone=False), now))

    async def note(self, news: News, now: int) -> None:
        """Take note of what a delivery says; older news than what is known changes nothing, an end always does."""
        await self._store.transact(_gone(news.installation.id) if news.gone else _keep(news, now))

    async def owner(self, number: int) -> str | None:
        """Return the tenant whose installation it is; None where nobody's."""
        rows = await self._store.read(f"SELECT tenant_id FROM github_installations WHERE {_THIS}", {"number": number})
        return rows[0][0] if rows else None

    async def claim(self, number: int, tenant_id: str, user_id: str, now: int) -> bool:
        """Make an installation the tenant's; False where it is another's by now."""
        return await self._store.transact(_claim(number, tenant_id, user_id, now))

    async def release(self, tenant_id: str, number: int) -> bool:
        """Make the tenant's installation nobody's; False where it is not the tenant's."""
        return await self._store.transact(_release(tenant_id, number))

    async def token_until(self, number: int, until: int) -> None:
        """Take note of when the newest token ends."""
        await self._store.transact(_token_until(number, until))

    async def list(self, tenant_id: str, after: int, limit: int) -> list[Shown]:
        """Return up to `limit` installations of a tenant by number, later than `after`."""
        rows = await self._store.read(
            f"{_SHOWN} AND installation_id > :after ORDER BY installation_id LIMIT :limit",
            {"tenant": tenant_id, "after": after, "limit": limit},
        )
        return [_shown(row) for row in rows]


def _shown(row: Row) -> Shown:
    values = dict(zip(_NAMES, row, strict=True))
    values["repositories"] = msgspec.json.decode(values["repositories"])
    values["permissions"] = msgspec.json.decode(values["permissions"])
    return Shown(**values)


def _keep(news: News, now: int) -> Work[None]:
    one = news.installation
    rows = yield Sql(f"SELECT repositories, said_at FROM github_installations WHERE {_THIS}", {"number": one.id})
    known, said_at = (msgspec.json.decode(rows[0][0]), rows[0][1]) if rows else ([], 0)
    if one.said_at < said_at:
        return
    named = dict.fromkeys(known if news.repositories is None else news.repositories)
    named |= dict.fromkeys(news.added)
    left = [name for name in named if name not in set(news.removed)]
    yield Sql(
        """INSERT INTO github_installations (id, installation_id, account_id, account_login, account_type,
             repository_selection, repositories, permissions, suspended_at, said_at, created_at, updated_at)
           VALUES (:id, :number, :account_id, :login, :type, :selection, :repositories, :permissions, :suspended_at,
             :said_at, :now, :now)
           ON CONFLICT (installation_id) DO UPDATE SET account_id = excluded.account_id,
             account_login = excluded.account_login, account_type = excluded.account_type,
             repository_selection = excluded.repository_selection, repositories = excluded.repositories,
             permissions = excluded.permissions, suspended_at = excluded.suspended_at, said_at = excluded.said_at,
             updated_at = excluded.updated_at""",
        {
            "id": mint(now), "number": one.id, "account_id": one.account_id, "login": one.account,
            "type": one.account_type, "selection": one.selection, "suspended_at": one.suspended_at,
            "repositories": msgspec.json.encode(left).decode(),
            "permissions": msgspec.json.encode(one.permissions).decode(), "said_at": one.said_at, "now": now,
        },
    )  # fmt: skip


def _gone(number: int) -> Work[None]:
    yield Sql(f"DELETE FROM github_installations WHERE {_THIS}", {"number": number})


def _claim(number: int, claimant: str, user_id: str, now: int) -> Work[bool]:
    rows = yield Sql(
        "UPDATE github_installations SET tenant_id = :claimant, updated_at = :now,"
        " user_id = CASE WHEN tenant_id IS NULL THEN :user ELSE user_id END"
        f" WHERE {_THIS} AND (tenant_id IS NULL OR tenant_id = :claimant) RETURNING id",
        {"number": number, "claimant": claimant, "user": user_id, "now": now},
    )
    return bool(rows)


def _release(tenant_id: str, number: int) -> Work[bool]:
    rows = yield Sql(
        "UPDATE github_installations SET tenant_id = NULL, user_id = NULL"
        f" WHERE tenant_id = :holder AND {_THIS} RETURNING id",
        {"holder": tenant_id, "number": number},
    )
    return bool(rows)


def _token_until(number: int, until: int) -> Work[None]:
    yield Sql(
        f"UPDATE github_installations SET access_token_expires_at = :until WHERE {_THIS}",
        {"number": number, "until": until},
    )

"""The files that a change touches, where GitHub did not send all of them.

Sources: GitHub REST API, "Compare two commits" (the list of files is whole below 300, on the first page) and "List pull
requests files" (3,000 at most).
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from workflow_scheduler.core.inbound.github import FILES_CAP, Facts
from workflow_scheduler.core.inbound.github_api import GitHubApi

COMPARED_MAX: Final = 300
PULLS: Final = frozenset({"pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"})
_NONE = "0" * 40


async def files_of(facts: Facts, api: GitHubApi) -> tuple[str, ...] | None:
    """Return all files that a delivery is about; None where GitHub cannot tell all of them.

    Raises:
        Rejected, RetryAfter, NotConnected: as the server answers.

    """
    if facts.repository is None:
        return None
    if facts.event == "push":
        return await _pushed(facts, api)
    number = facts.body.get("number") or (facts.body.get("pull_request") or {}).get("number")
    if facts.event not in PULLS or not isinstance(number, int):
        return None
    found = await api.items(f"/repos/{facts.repository}/pulls/{number}/files")
    return None if len(found) >= FILES_CAP else _names(found)


async def _pushed(facts: Facts, api: GitHubApi) -> tuple[str, ...] | None:
    before, after = facts.body.get("before"), facts.body.get("after")
    if not isinstance(before, str) or not isinstance(after, str) or _NONE in (before, after):
        return None  # a branch that begins or ends here is compared with nothing
    # Two dots would not do: GitHub compares with the common ancestor, which for a push that only adds is `before`.
    told = await api.get(f"/repos/{facts.repository}/compare/{quote(before, safe='')}...{quote(after, safe='')}")
    listed = told.get("files") if isinstance(told, dict) else None
    if not isinstance(listed, list) or len(listed) >= COMPARED_MAX or told.get("behind_by"):
        return None
    return _names(listed)


def _names(listed: list[Any]) -> tuple[str, ...]:
    names = [one.get(key) for one in listed if isinstance(one, dict) for key in ("filename", "previous_filename")]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))

"""Incidents of a status page that are new or have changed.

The page is asked for its list of incidents (`/api/v2/incidents.json`), which every page made with Statuspage offers
without credentials. Each change of an incident is one event; what stood there before the trigger was deployed is not.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from pydantic import Field

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.answers import check_answer
from workflow_scheduler.core.inbound.identity import item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.verdict import Predicate, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.resources import HttpRequest
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.registry import Example, Heard

name = "statuspage"
title = "Status page"
icon = "heartbeat"
shape = "poll"
since = "0.1"
extras = ""

_IMPACTS = ("none", "minor", "major", "critical")
_NOT_MODIFIED = 304


class Config(ClosedConfig):
    """Which page, and which incidents."""

    url: str = Field(
        pattern=r"^https?://[^\s]+$", title="Page", description="The address of the page: https://www.githubstatus.com."
    )
    impact: Literal["none", "minor", "major", "critical"] = Field(
        default="none", title="Least impact", description="Incidents with less impact start nothing."
    )
    every: Duration = Field(default=60.0, ge=1, title="Every", description="The pause between two looks.")


_INCIDENT = {
    "id": "p31zjtct2jer",
    "name": "Delayed webhooks",
    "status": "investigating",
    "impact": "major",
    "created_at": "2027-03-14T07:30:00Z",
    "updated_at": "2027-03-14T07:45:00Z",
    "shortlink": "https://stspg.example/p31zjtct2jer",
    "incident_updates": [{"status": "investigating", "body": "We are looking into it."}],
}
examples = (
    Example(
        title="Large outages",
        config={"url": "https://www.githubstatus.com", "impact": "major"},
        event={"type": "statuspage.incident", "subject": "p31zjtct2jer", "data": _INCIDENT},
    ),
)


def source_key(config: Config) -> str:
    """Return the page: triggers of one tenant on one page share a source."""
    return key_of(config.url.split("://", 1)[1], config.url)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:
    """Return whether the impact is large enough; an incident without one is unknown."""
    data = event.data if isinstance(event.data, dict) else {}
    impact = data.get("impact")
    if impact not in _IMPACTS:
        line = Predicate("impact", config.impact, None, None, "`impact` is missing")
        return Verdict(result=None, predicates=(line,))
    fits = _IMPACTS.index(impact) >= _IMPACTS.index(config.impact)
    return Verdict(result=fits, predicates=(Predicate("impact", config.impact, impact, fits),))


def poll_seconds(config: Config) -> float:
    """Return the pause between two looks."""
    return config.every


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """Look once. The cursor is what stood on the page (incident -> when it changed) and the page's ETag."""
    known: dict[str, str] | None = None if cursor is None else cursor["seen"]
    url = f"{config.url.rstrip('/')}/api/v2/incidents.json"
    etag = (cursor or {}).get("etag")
    headers = {"Accept": "application/json"} | ({"If-None-Match": etag} if etag else {})
    reply = await io.send(HttpRequest(method="GET", url=url, headers=headers))
    if reply.status == _NOT_MODIFIED:
        return Polled(cursor=cursor)
    check_answer(reply.status, reply.headers, url, io.now(), reply.body)
    incidents = _incidents(reply.body, url)
    seen = {one["id"]: str(one.get("updated_at")) for one in incidents}
    fresh = [one for one in incidents if known is not None and known.get(one["id"]) != seen[one["id"]]]
    # The page lists the newest first; the oldest change is heard first.
    heard = [_heard(one) for one in reversed(fresh)]
    return Polled(heard=heard, cursor={"seen": seen, "etag": reply.headers.get("etag")})


def _incidents(body: bytes, url: str) -> list[dict[str, Any]]:
    try:
        found = msgspec.json.decode(body)["incidents"]
        return [one for one in found if isinstance(one["id"], str)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise Rejected(f"{url} does not answer with incidents", fix="Name the address of a status page.") from None


def _heard(incident: dict[str, Any]) -> Heard:
    return Heard(
        source="",  # left empty, it is made from the source key
        type="statuspage.incident",
        event_key=item_key(incident["id"], incident.get("updated_at")),
        subject=incident["id"],
        data=msgspec.json.encode(incident),
    )

"""`/api/v1/events`: what was heard, what became of it and why, and hearing it again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import documents
from workflow_scheduler.api.answers import Listing, Moment, Text, Time, answer, listing, moment
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.services.replay import REPLAY_MAX, ReplayRequest
from workflow_scheduler.stores.portable.events import EventFilter

router = APIRouter(tags=["events"])
Id = Annotated[str, Path(max_length=256)]


class ReplayFilter(BaseModel):
    """Which events. `until` is exclusive."""

    model_config = ConfigDict(extra="forbid")

    source: str | None = None
    type: str | None = None
    provider: str | None = None
    since: str | None = Field(default=None, max_length=64)
    until: str | None = Field(default=None, max_length=64)


class ReplayBody(BaseModel):
    """Which events to replay: `ids`, or a `filter`, or a range given beside it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"filter": {"type": "push", "since": "2027-03-14T00:00:00Z"}, "dry_run": True}},
    )

    ids: list[str] = Field(default=[], max_length=REPLAY_MAX)
    filter: ReplayFilter | None = None
    since: str | None = Field(default=None, max_length=64, description="Short for the filter's field.")
    until: str | None = Field(default=None, max_length=64, description="Short for the filter's field.")
    mode: Literal["new_run"] = "new_run"
    limit: int = Field(default=REPLAY_MAX, ge=1, le=REPLAY_MAX)
    dry_run: bool = Field(default=False, description="Only count the events and what they would start.")

    def request(self) -> ReplayRequest:
        """Return what is asked for.

        Raises:
            ValidationFailed: a time cannot be read.

        """
        given = self.filter or ReplayFilter()
        since = moment(given.since or self.since, "since")
        until = moment(given.until or self.until, "until")
        chosen = self.filter is not None or since is not None or until is not None
        wanted = EventFilter(source=given.source, type=given.type, provider=given.provider, since=since, until=until)
        return ReplayRequest(ids=self.ids, wanted=wanted if chosen else None, limit=self.limit, dry_run=self.dry_run)


class EventQuery(Listing):
    """Which events to list. `until` is exclusive."""

    source: Text = None
    type: Text = None
    provider: Text = None
    since: Time = None
    until: Time = None


@router.get("/api/v1/events", response_model=documents.EventPage, summary="List events")
async def list_events(context: Context, caller: Caller, query: Annotated[EventQuery, Query()]) -> Response:
    """List events, the newest first. A page may be short while `next` is set: follow it to the end."""
    wanted = EventFilter(
        source=query.source,
        type=query.type,
        provider=query.provider,
        since=moment(query.since, "since"),
        until=moment(query.until, "until"),
    )
    return listing(await context.events.page(caller, wanted, limit=query.limit, cursor=query.place))


@router.post("/api/v1/events/replay", response_model=documents.Bulk, summary="Replay events")
async def replay_events(body: ReplayBody, context: Context, caller: Caller) -> Response:
    """Let stored events happen again: each starts new runs with `replay_of`. `dry_run` counts first."""
    return answer(await context.replay.replay(caller, body.request()))


@router.get("/api/v1/events/{event_id}", response_model=documents.Event, summary="Show an event")
async def show_event(event_id: Id, context: Context, caller: Caller) -> Response:
    """Show one event with its data and the facts of its transport; secrets are masked."""
    return answer(await context.events.show(caller, event_id))


@router.get("/api/v1/events/{event_id}/explain", response_model=documents.Explanation, summary="Explain an event")
async def explain_event(event_id: Id, context: Context, caller: Caller) -> Response:
    """Say for every trigger concerned what became of the event and why, with each predicate."""
    return answer(await context.explain.event(caller, event_id))


@router.get("/api/v1/events/{event_id}/decisions", response_model=documents.DecisionPage, summary="List decisions")
async def list_decisions(
    event_id: Id,
    context: Context,
    caller: Caller,
    query: Annotated[Listing, Query()],
) -> Response:
    """List the recorded decisions of an event, by trigger."""
    return listing(await context.events.decisions(caller, event_id, limit=query.limit, cursor=query.place))


@router.get(
    "/api/v1/triggers/{trigger_id}/decisions",
    response_model=documents.DecisionPage,
    summary="List a trigger's decisions",
)
async def list_trigger_decisions(
    trigger_id: Id,
    context: Context,
    caller: Caller,
    query: Annotated[Listing, Query()],
) -> Response:
    """List what a trigger was asked and what was decided, the newest first."""
    return listing(await context.events.trigger_decisions(caller, trigger_id, limit=query.limit, cursor=query.place))


@router.get("/api/v1/triggers/{trigger_id}/explain", response_model=documents.Why, summary="Explain a trigger")
async def explain_trigger(trigger_id: Id, context: Context, caller: Caller, at: Moment = None) -> Response:
    """Say whether a schedule ran at a time, or why not; for other triggers what was decided around it."""
    return answer(await context.explain.trigger(caller, trigger_id, moment(at, "at")))


@router.get("/api/v1/explain", response_model=documents.Why, summary="Explain an event, a run or a trigger")
async def explain_anything(
    context: Context,
    caller: Caller,
    ref: Annotated[str, Query(min_length=1, max_length=300, description="An id, or `workflow/trigger`.")],
    at: Moment = None,
) -> Response:
    """Explain whatever `ref` is; `kind` says what that was. `at` is for triggers."""
    return answer(await context.explain.anything(caller, ref, moment(at, "at")))

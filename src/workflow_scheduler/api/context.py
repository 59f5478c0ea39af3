"""What the resources of the API work with; built once by the composition root, handed to every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.settings import Settings
from workflow_scheduler.telemetry.metrics import Metrics
from workflow_scheduler.telemetry.tracing import Tracer

if TYPE_CHECKING:
    from workflow_scheduler.api.security import Authenticator
    from workflow_scheduler.pipeline.inbox import Inbox
    from workflow_scheduler.pipeline.launcher import Launcher
    from workflow_scheduler.pipeline.live import LiveFeed
    from workflow_scheduler.pipeline.matcher import Matcher
    from workflow_scheduler.pipeline.redrive import Redrive
    from workflow_scheduler.pipeline.sources.manual import ManualSource
    from workflow_scheduler.pipeline.sources.pokes import Pokes
    from workflow_scheduler.pipeline.sources.push import PushSource
    from workflow_scheduler.pipeline.tracker import Tracker
    from workflow_scheduler.services.audit import Audit
    from workflow_scheduler.services.backfills import Backfills
    from workflow_scheduler.services.blackouts import Blackouts
    from workflow_scheduler.services.calendar_dates import CalendarDates
    from workflow_scheduler.services.calendars import Calendars
    from workflow_scheduler.services.connections import ConnectionStore
    from workflow_scheduler.services.consents import Consents
    from workflow_scheduler.services.dead_letters import DeadLetters
    from workflow_scheduler.services.deployments import Deployments
    from workflow_scheduler.services.events import Events
    from workflow_scheduler.services.explain import Explain
    from workflow_scheduler.services.github_installations import GitHubInstallations
    from workflow_scheduler.services.held import Held
    from workflow_scheduler.services.joins import Joins
    from workflow_scheduler.services.keys import Keys
    from workflow_scheduler.services.members import Members
    from workflow_scheduler.services.queues import Queues
    from workflow_scheduler.services.replay import Replay
    from workflow_scheduler.services.reruns import Reruns
    from workflow_scheduler.services.runs import Runs
    from workflow_scheduler.services.schedules import Schedules
    from workflow_scheduler.services.secrets import SecretStore
    from workflow_scheduler.services.templates import Templates
    from workflow_scheduler.services.tenant import TenantSettings
    from workflow_scheduler.services.triggers import Triggers
    from workflow_scheduler.services.waits import Waits
    from workflow_scheduler.services.workflows import Workflows


@dataclass(kw_only=True, slots=True)
class ApiContext:
    """The parts an API needs, by the names their rooms use."""

    settings: Settings
    clock: Clock
    store: Store
    metrics: Metrics
    authenticator: Authenticator
    inbox: Inbox
    push: PushSource
    pokes: Pokes
    manual: ManualSource
    matcher: Matcher
    tracker: Tracker
    launcher: Launcher
    redrive: Redrive
    live: LiveFeed
    workflows: Workflows
    deployments: Deployments
    triggers: Triggers
    schedules: Schedules
    backfills: Backfills
    blackouts: Blackouts
    calendars: Calendars
    calendar_dates: CalendarDates
    templates: Templates
    runs: Runs
    reruns: Reruns
    events: Events
    explain: Explain
    dead_letters: DeadLetters
    replay: Replay
    queues: Queues
    joins: Joins
    held: Held
    secrets: SecretStore
    connections: ConnectionStore
    github_installations: GitHubInstallations
    consents: Consents
    tenant: TenantSettings
    keys: Keys
    members: Members
    audit: Audit
    waits: Waits
    trigger_types: Mapping[str, ModuleType]
    job_types: Mapping[str, ModuleType]
    tracer: Tracer = field(default_factory=Tracer)


def get_context(request: Request) -> ApiContext:
    """Dependency: the context this application was created with."""
    return cast("ApiContext", request.app.state.context)


Context = Annotated[ApiContext, Depends(get_context)]

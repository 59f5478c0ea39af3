"""The services that the API offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_scheduler.api.context import ApiContext
from workflow_scheduler.api.security import Authenticator
from workflow_scheduler.app.engines import Engines
from workflow_scheduler.core.definition.check import Rules
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.services.audit import Audit
from workflow_scheduler.services.backfilling import Backfilling
from workflow_scheduler.services.backfills import Backfills
from workflow_scheduler.services.blackouts import Blackouts
from workflow_scheduler.services.calendar_dates import CalendarDates
from workflow_scheduler.services.calendars import Calendars
from workflow_scheduler.services.consents import Consents
from workflow_scheduler.services.dead_letters import DeadLetters
from workflow_scheduler.services.definitions import Definitions
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
from workflow_scheduler.services.requirements import Requirements
from workflow_scheduler.services.reruns import Reruns
from workflow_scheduler.services.resolution import Resolution
from workflow_scheduler.services.runs import Runs
from workflow_scheduler.services.schedules import Schedules
from workflow_scheduler.services.templates import Templates
from workflow_scheduler.services.triggers import Triggers
from workflow_scheduler.services.waits import Waits
from workflow_scheduler.services.workflows import Workflows
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable.consents import ConsentRepository
from workflow_scheduler.stores.portable.github_installations import InstallationRepository
from workflow_scheduler.stores.portable.keys import KeyRepository
from workflow_scheduler.telemetry.tracing import connect

if TYPE_CHECKING:
    from workflow_scheduler.api.tokens import TokenVerifier


def _token_verifier(settings: Settings, outbound: HttpClient) -> TokenVerifier:
    """Return the verifier of tokens; its library is loaded only where tokens are accepted."""
    from workflow_scheduler.api.tokens import TokenVerifier

    return TokenVerifier(settings, outbound)


class Services(Engines):
    """Pipeline and engines with the control plane over them."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Wire the pipeline and the engines, then the services over them."""
        super().__init__(settings, clock)
        self.context = self._wire_services()

    def _wire_services(self) -> ApiContext:
        store, clock, settings = self.store, self.clock, self.settings
        rules = Rules(
            allow_code=settings.allow_code,
            timezone=settings.scheduler_timezone,
            engines=tuple(self.engines),
            several=store.dialect == "postgres",
        )
        keys = Keys(KeyRepository(store), clock)
        tokens = _token_verifier(settings, self.outbound) if settings.jwt_configured else None
        self.authenticator = Authenticator(settings, keys, clock, tokens)
        keys.on_create, keys.on_revoke = self.authenticator.key_created, self.authenticator.forget
        members = Members(store, clock)
        members.on_change, members.on_fact = self.authenticator.forget, self.internal.hint
        self.authenticator.members = members
        definitions = Definitions(self.types, self.jobs, clock, rules)
        requirements = Requirements(self.secrets, self.connections, self.tenant, self.jobs, self.tenant)
        deployments = Deployments(store, clock, definitions, requirements)
        deployments.resolution = self._resolution(requirements)
        workflows = Workflows(store, clock, definitions, deployments)
        triggers = Triggers(store, clock, definitions, workflows, deployments, self.matcher)
        explain = Explain(store, clock, self.catalog, self.matcher, self.types)
        waits = Waits(store, clock, self.vault, self.asking.public_url)
        waits.on_answer = self.wakes.hint
        self.backfilling = Backfilling(store, clock, self.types, self.backfill, self.launcher, self.live)
        self.backfilling.owner = self.owner
        self.tracker.on_end = self._ended
        return ApiContext(
            settings=settings, clock=clock, store=store, metrics=self.metrics, authenticator=self.authenticator,
            inbox=self.inbox, push=self.push, pokes=self.pokes, manual=self.manual, matcher=self.matcher,
            tracker=self.tracker, launcher=self.launcher, redrive=self.redrive, live=self.live,
            workflows=workflows, deployments=deployments,
            triggers=triggers, schedules=Schedules(store, clock, self.types, triggers, self.inbox, self.timer),
            blackouts=Blackouts(store, clock, self.types),
            calendars=Calendars(store, clock, self.types, self.timer.wake), calendar_dates=CalendarDates(store, clock),
            runs=Runs(store, clock, self.launcher, self.tracker, explain), events=Events(store, clock),
            reruns=Reruns(store, clock, self.catalog, self.graphs, self.reruns, self.engines),
            backfills=Backfills(store, clock, self.types, self.backfilling.wake),
            templates=Templates(store, clock, definitions, workflows, deployments, requirements),
            queues=Queues(store, clock, self.tracker),
            joins=Joins(store, self.types),
            held=Held(store, clock, self.inbox),
            explain=explain, dead_letters=DeadLetters(store, clock, self.redrive),
            replay=Replay(store, clock, self.inbox, self.manual, self.matcher, self.catalog),
            secrets=self.secrets, connections=self.connections, consents=self._consents(), tenant=self.tenant,
            github_installations=self._installations(), keys=keys, members=members,
            audit=Audit(store, clock), waits=waits,
            trigger_types=self.types, job_types=self.jobs,
            tracer=connect(settings.otel_endpoint, "workflow_scheduler", settings.environment),
        )  # fmt: skip

    def _installations(self) -> GitHubInstallations:
        installations = GitHubInstallations(InstallationRepository(self.store))
        if self.github_app is not None:
            installations.on_release = self.github_app.forget
        return installations

    def _resolution(self, requirements: Requirements) -> Resolution:
        """Return what asks the providers at deploy; where there is a GitHub App, its secret need not be set."""
        resolution = Resolution(self.secrets, self.connections, self.outbound, self.clock)
        resolution.public_url = self.settings.public_url.rstrip("/")
        if self.github_app is not None:
            resolution.installations = self.github_app.cover
            requirements.given = self.github_app.given
        return resolution

    def _consents(self) -> Consents:
        rows = ConsentRepository(self.store)
        return Consents(rows, self.connections, self.providers, self.vault, self.clock, self.outbound)

    def _ended(self, run_id: str) -> None:
        """Give the place of an ended run to the next one."""
        self.launcher.ended(run_id)
        self.backfilling.ended(run_id)

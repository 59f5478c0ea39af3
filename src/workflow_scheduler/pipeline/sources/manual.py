"""The manual source: a person, a program or an API call starts a workflow by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict, Unpack

import msgspec

from workflow_scheduler.core.dag.calls import call_key
from workflow_scheduler.core.errors import Conflict, NotFound, Rejected, ValidationFailed
from workflow_scheduler.core.ids import logical_id, mint
from workflow_scheduler.core.inbound.storable import check_storable
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.trigger import Mode, Trigger
from workflow_scheduler.core.model.workflow import Definition, limit_of, overlap_of
from workflow_scheduler.core.overlap import Overlap
from workflow_scheduler.core.ports.catalog import Catalog, WorkflowRef
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.pipeline.candidates import CandidateCache, Compiled
from workflow_scheduler.pipeline.entries import Entry, Receipt, Stale
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.intents import decide

_encode = msgspec.json.encode
STALE_RETRIES_MAX = 20


class StartOptions(TypedDict, total=False):
    """How a run is started: whether somebody confirmed it, by which manual trigger, and with a priority of its own."""

    confirm: bool
    trigger: str | None
    priority: int | None


class ManualSource:
    """Starts runs on request. A workflow needs no manual trigger for that; one that it has sets the rules."""

    def __init__(
        self, catalog: Catalog, store: Store, cache: CandidateCache, inbox: Inbox, clock: Clock, vault: Vault
    ) -> None:
        """Look workflows up through `catalog`; hand-on tokens are sealed by `vault`."""
        self._catalog = catalog
        self._store = store
        self._cache = cache
        self._inbox = inbox
        self._clock = clock
        self._vault = vault

    async def start(
        self,
        principal: Principal,
        workflow: str,
        *,
        input: Any = None,  # noqa: A002 -- the word of the interface
        idempotency_key: str | None = None,
        **more: Unpack[StartOptions],
    ) -> Receipt:
        """Start one run of the live version and return after the durable commit.

        Raises:
            NotFound: no such workflow or trigger in the caller's tenant.
            Conflict: the workflow is not deployed, its trigger is disabled, or it wants a confirmation.
            ValidationFailed: the idempotency key was used with another input.
            BadRequest: the idempotency key is too long, or holds a NUL.

        """
        body = _encode(input)
        confirm = more.get("confirm", False)

        async def made() -> tuple[Event, Compiled]:
            ref = await self._catalog.workflow(principal.tenant_id, workflow)
            if ref is None:
                raise NotFound(f"There is no workflow `{workflow}`.", fix="Deploy it: workflow-scheduler deploy FILE")
            compiled = await self._trigger(ref, more.get("trigger"))
            _check(compiled, confirm=confirm)
            event = self._event(principal, ref, compiled, body, idempotency_key, confirm=confirm)
            return msgspec.structs.replace(event, priority=more.get("priority")), compiled

        return await self._started(made)

    async def start_version(
        self,
        principal: Principal,
        version: WorkflowRef,
        source: str,
        *,
        input: Any = None,  # noqa: A002 -- the word of the interface
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Start one run of a stored version that need not be live (a template's); return after the durable commit.

        `source` is that of its event, and the name is the key's realm: `/templates/NAME`.

        Raises:
            ValidationFailed: the idempotency key was used with another input.
            BadRequest: the idempotency key is too long, or holds a NUL.

        """
        body = _encode(input)

        async def made() -> tuple[Event, Compiled]:
            compiled = await self._trigger(version, None)
            event = self._event(principal, version, compiled, body, idempotency_key, confirm=True)
            facts = msgspec.json.decode(event.attributes) | {"workflow_version": version.live_version}
            return msgspec.structs.replace(event, source=source, attributes=_encode(facts)), compiled

        return await self._started(made)

    async def _started(self, made: Callable[[], Awaitable[tuple[Event, Compiled]]]) -> Receipt:
        """Make the event of a start and store it, again where what is live has changed meanwhile."""
        for _ in range(STALE_RETRIES_MAX):
            epoch = self._cache.epoch
            event, compiled = await made()
            check_storable(event)
            try:
                receipt = await self._accept(event, compiled, epoch)
            except Stale:
                await self._cache.refresh()
                continue
            return await self._original(receipt, event) if receipt.duplicate else receipt
        raise Conflict("The workflow is being deployed over and over.", fix="Try again in a moment.")

    async def call(self, run: Run, job_id: str, workflow: str, value: Any, *, wait: bool) -> str:
        """Start a run on behalf of a job of `run`, once for (run, job id), and return the id of that run.

        Raises:
            NotFound: there is no such workflow.
            Conflict: the workflow is not deployed, or its manual trigger is disabled.
            Rejected: the chain of runs is too deep, or the first call was refused.

        """
        principal = Principal(tenant_id=run.tenant_id, user_id=run.user_id or "", role="run", method="run")
        key, body = call_key(run.id, job_id, wait=wait), _encode(value)
        for _ in range(STALE_RETRIES_MAX):
            epoch = self._cache.epoch
            ref = await self._catalog.workflow(run.tenant_id, workflow)
            if ref is None:
                raise NotFound(f"There is no workflow `{workflow}`.", fix="Deploy it: workflow-scheduler deploy FILE")
            compiled = await self._trigger(ref, None)
            _check(compiled, confirm=True)
            if run.depth >= compiled.trigger.max_depth:
                raise Rejected(
                    f"This run is {run.depth} runs deep, and `{ref.name}` allows a `max_depth` of "
                    f"{compiled.trigger.max_depth}.",
                    fix="Look for workflows that run each other in a circle, or raise `max_depth`.",
                )
            event = msgspec.structs.replace(
                self._event(principal, ref, compiled, body, key, confirm=True),
                source=f"/runs/{run.id}/jobs", depth=run.depth + 1, cause_run_id=run.id, traceparent=run.traceparent,
                user_id=run.user_id, bearer=None, priority=run.priority or None,
            )  # fmt: skip
            check_storable(event)
            try:
                receipt = await self._accept(event, compiled, epoch)
            except Stale:
                await self._cache.refresh()
                continue
            return await self._called(receipt, event)
        raise Conflict("The workflow is being deployed over and over.", fix="Try again in a moment.")

    async def _called(self, receipt: Receipt, event: Event) -> str:
        """Return the run of a call, also of one that was stored by an earlier attempt."""
        if receipt.run_ids:
            return receipt.run_ids[0]
        rows = await self._store.read(
            "SELECT run_id, reason FROM decisions WHERE tenant_id = :tenant AND event_id = :id",
            {"tenant": event.tenant_id, "id": receipt.event_id},
        )
        for run_id, reason in rows:
            if run_id is None:
                raise Rejected(f"no run was started: {reason}")
            return str(run_id)
        raise Rejected("the event of this call is stored no more")

    async def _trigger(self, ref: WorkflowRef, name: str | None) -> Compiled:
        if ref.live_version is None:
            raise Conflict(
                f"The workflow `{ref.name}` is not deployed.", fix="Deploy it first: workflow-scheduler deploy FILE"
            )
        declared = await self._catalog.of_workflow(ref.tenant_id, ref.id, "manual")
        for one in declared:
            if name is None or name in (one.name, one.id):
                return self._cache.compile(one)
        if name is not None:
            raise NotFound(f"The workflow `{ref.name}` has no manual trigger `{name}`.")
        definition = await self._catalog.definition(ref.tenant_id, ref.id, ref.live_version)
        return self._cache.compile(
            Trigger(
                id=logical_id(ref.tenant_id, ref.id, "\x00manual"),
                tenant_id=ref.tenant_id,
                workflow_id=ref.id,
                workflow=ref.name,
                workflow_version=ref.live_version,
                name="manual",
                type="manual",
                config={},
                engine=definition.engine if definition else "embedded",
                defaults=definition.input or None if definition else None,
                overlap=None if definition is None else _rule(definition, self._store.dialect),
                priority=0 if definition is None else definition.priority,
            )
        )

    def _event(
        self,
        principal: Principal,
        ref: WorkflowRef,
        compiled: Compiled,
        body: bytes,
        idempotency_key: str | None,
        *,
        confirm: bool,
    ) -> Event:
        now = self._clock.now()
        event_id = mint(now)
        facts = {"user_id": principal.user_id, "role": principal.role, "confirmed": confirm, "method": principal.method}
        bearer = principal.bearer
        return Event(
            id=event_id,
            tenant_id=ref.tenant_id,
            provider="manual",
            source=f"/manual/{ref.id}",
            type="manual",
            subject=ref.id,
            event_key=idempotency_key or event_id,
            time=now,
            received_at=now,
            data=_encode({"trigger_type": "MANUAL", "user_id": principal.user_id, "trigger_time": to_iso(now),
                          "input": msgspec.Raw(body)}),
            attributes=_encode(facts),
            target_trigger_id=compiled.trigger.id,
            user_id=principal.user_id,
            bearer=self._vault.seal(bearer.encode(), event_id) if bearer else None,
            input=body,
        )  # fmt: skip

    async def _accept(self, event: Event, compiled: Compiled, epoch: int) -> Receipt:
        entry = Entry(asyncio.get_running_loop().create_future())
        entry.prepared = (decide(event, (compiled,), event.received_at, self._inbox.owner),)
        entry.prepared_epoch = epoch
        self._inbox.submit(entry)
        assert entry.future is not None
        receipts: list[Receipt] = await entry.future
        return receipts[0]

    async def _original(self, receipt: Receipt, event: Event) -> Receipt:
        """Return the receipt of the call that came first with this idempotency key."""
        rows = await self._store.read(
            "SELECT e.data, d.run_id FROM events e LEFT JOIN decisions d "
            "ON d.tenant_id = e.tenant_id AND d.event_id = e.id WHERE e.tenant_id = :tenant AND e.id = :id",
            {"tenant": event.tenant_id, "id": receipt.event_id},
        )
        if rows and msgspec.json.decode(rows[0][0])["input"] != msgspec.json.decode(event.input or b"null"):
            raise ValidationFailed(
                "This Idempotency-Key was used before with another input.", fix="Use a new key for a new request."
            )
        run_ids = [row[1] for row in rows if row[1]]
        return Receipt(receipt.event_id, duplicate=True, decisions=[], run_ids=run_ids, tenant_id=event.tenant_id)


def _rule(definition: Definition, dialect: str) -> Overlap | None:
    """Return what holds for starts of a workflow that has no manual trigger."""
    return overlap_of(None, definition) or limit_of(definition, several=dialect == "postgres")


def _check(compiled: Compiled, *, confirm: bool) -> None:
    trigger = compiled.trigger
    if trigger.mode is not Mode.ENABLED:
        raise Conflict(
            f"The manual trigger `{trigger.name}` is {trigger.mode}.",
            fix=f"Enable it: workflow-scheduler trigger enable {trigger.id}",
        )
    if compiled.config is not None and compiled.config.require_confirmation and not confirm:
        raise Conflict(
            f"The trigger `{trigger.name}` wants a confirmation.", fix='Send `"confirm": true`, or use --yes.'
        )

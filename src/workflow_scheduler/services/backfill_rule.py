"""What a backfill is to run: the schedule that is meant, the rule its times come from, and the range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.definition.trigger_check import SharedKeys
from workflow_scheduler.core.errors import FieldError, SchedulerError, ValidationFailed, did_you_mean
from workflow_scheduler.core.model.backfill import ACTIVE_DEFAULT, Order, Reprocess
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import DAY_US, to_iso
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.stores.portable.schedules import ScheduleRepository, ScheduleRow
from workflow_scheduler.stores.portable.skips import with_skips
from workflow_scheduler.stores.portable.workflows import WorkflowRepository

RANGE_DAYS_MAX = 3_660
_SCHEDULES_MAX = 1_000
_NAMED = 10
_SHARED = frozenset({"type", *SharedKeys.model_fields})


class BackfillRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. The range is [since, until), microseconds; `given` replaces the input, as JSON bytes."""

    workflow: str
    since: int
    until: int
    trigger: str | None = None
    reprocess: Reprocess = "missing"
    order: Order = "forward"
    max_active: int = ACTIVE_DEFAULT
    given: bytes | None = None
    version: int | None = None
    ignore_skips: bool = False


class Rule(msgspec.Struct, frozen=True):
    """The schedule that is meant, and the type and configuration (JSON) that name its times."""

    row: ScheduleRow
    type: str
    config: str


def refused(field: str, message: str, fix: str | None = None) -> ValidationFailed:
    """Return the refusal of one field."""
    return ValidationFailed(message, fix=fix, errors=[FieldError(field, message)])


def check_range(request: BackfillRequest, now: int) -> None:
    """Refuse a range that is empty, reversed, too long, or not over yet.

    Raises:
        ValidationFailed: it names `from` or `to`, and says what to write instead.

    """
    if request.until <= request.since:
        word = "is empty" if request.until == request.since else "is reversed"
        raise refused("to", f"the range {word}: `to` must be later than `from`; `to` itself is not part of it")
    if request.until > now:
        raise refused(
            "to",
            f"`to` is {to_iso(request.until)}, which has not come yet; a backfill runs times that have passed",
            f"Write {to_iso(now - now % 1_000_000)} or earlier; later times are run by the schedule itself.",
        )
    if request.until - request.since > RANGE_DAYS_MAX * DAY_US:
        raise refused("from", f"the range is longer than {RANGE_DAYS_MAX} days; split it into several backfills")


class Rules:
    """Finds what a request means."""

    def __init__(self, store: Store, types: Mapping[str, ModuleType]) -> None:
        """Read from `store`; `types` are the installed trigger types."""
        self._types = types
        self._workflows = WorkflowRepository(store)
        self._schedules = ScheduleRepository(store)

    async def find(self, tenant_id: str, request: BackfillRequest, now: int) -> Rule:
        """Return the schedule and the rule.

        Raises:
            ValidationFailed: there is no such workflow, trigger or version, or it is not clear which trigger is meant.

        """
        record = await self._workflows.find(tenant_id, request.workflow)
        if record is None:
            raise refused("workflow", f"there is no workflow `{request.workflow}`", "List them: GET /api/v1/workflows")
        rows, _ = await self._schedules.page(tenant_id, _SCHEDULES_MAX, None, now, record.id)
        live = [row for row in rows if not isinstance(row, Malformed)]
        if not live:
            raise _nothing_live(record.name, deployed=record.live_version is not None)
        row = _meant(live, request, record.name)
        if request.version is None:
            return Rule(row, row.type, _config(row))
        return await self._of_version(tenant_id, row, request.version)

    async def _of_version(self, tenant_id: str, row: ScheduleRow, version: int) -> Rule:
        """Return the rule that the trigger of this name had in an earlier version."""
        try:
            stored = await self._workflows.version(tenant_id, row.workflow_id, version)
        except SchedulerError:
            raise refused("version", f"`{row.workflow}` has no version {version}") from None
        definition = msgspec.json.decode(stored.definition)
        trigger: dict[str, Any] = (definition.get("triggers") or {}).get(row.name) or {}
        module: Any = self._types.get(str(trigger.get("type")))
        if module is None or module.shape != "timer":
            raise refused("version", f"version {version} of `{row.workflow}` has no time trigger `{row.name}`")
        config = {name: value for name, value in trigger.items() if name not in _SHARED}
        if "timezone" in module.Config.model_fields and definition.get("timezone"):
            config = {"timezone": definition["timezone"], **config}
        try:
            module.Config.model_validate(config)
        except (ValueError, SchedulerError) as error:
            raise refused("version", f"`{row.name}` of version {version} cannot be read: {error}") from None
        return Rule(row, module.name, msgspec.json.encode(config).decode())


def _config(row: ScheduleRow) -> str:
    """Return the configuration as JSON, with the times that somebody skips."""
    return msgspec.json.encode(with_skips(msgspec.json.decode(row.config), row.skips)).decode()


def _nothing_live(workflow: str, *, deployed: bool) -> ValidationFailed:
    if not deployed:
        return refused(
            "workflow", f"`{workflow}` is not deployed", f"Deploy it: workflow-scheduler deploy {workflow}.yaml"
        )
    message = f"`{workflow}` has no time trigger, so it has no times to run"
    return refused("workflow", message, "Add a cron, interval, once or rrule trigger to it.")


def _meant(live: Sequence[ScheduleRow], request: BackfillRequest, workflow: str) -> ScheduleRow:
    names = [row.name for row in live]
    listed = ", ".join(names[:_NAMED])
    if request.trigger is None:
        if len(live) == 1:
            return live[0]
        raise refused("trigger", f"`{workflow}` has several time triggers; say which one: {listed}")
    for row in live:
        if request.trigger in (row.name, row.id):
            return row
    near = did_you_mean(request.trigger, names)
    hint = f", did you mean `{near}`?" if near else f"; it has {listed}"
    raise refused("trigger", f"`{workflow}` has no time trigger `{request.trigger}`{hint}")

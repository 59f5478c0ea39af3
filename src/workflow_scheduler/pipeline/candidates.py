"""The bounded cache of compiled triggers over the store's index.

A trigger is compiled once per deployed state: its configuration parsed, its condition compiled. Buckets are kept per
(tenant, type, index key, sub key). Any change of the live triggers moves the index epoch, which empties the cache;
every batch carries the epoch its decisions were taken under, so that no event overtakes a deploy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.match.condition import (
    EVENT_VARIABLES,
    NO_VALUE,
    Condition,
    compile_condition,
    compile_expression,
    event_variables,
)
from workflow_scheduler.core.match.event_pattern import Pattern
from workflow_scheduler.core.match.expression import Expression
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.overlap import limit_key, limit_value_key, trigger_key, value_key, workflow_key
from workflow_scheduler.core.ports.catalog import Catalog
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.shaping.keys import ShapeKeys
from workflow_scheduler.core.shaping.shape import is_due

WHOLE_KEY_MAX = 64
CACHED_TRIGGERS_MAX = 50_000
SHARED_CONFIGS_MAX = 512
NOTED_TRIGGERS_MAX = 10_000  # more than the runs of schedules that are under way at one time
_ANY = "\x00"


class Configs:
    """Parsed configurations of time triggers, one for all that are written alike; nobody changes one that is shared."""

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[tuple[str, bytes], Any] = {}

    def read(self, trigger: Trigger, module: Any, parse: Callable[[dict[str, Any]], Any]) -> Any:
        """Return the configuration of `trigger`, parsed where none like it is known."""
        if module.shape != "timer":
            return parse(trigger.config)
        key = trigger.type, msgspec.json.encode(trigger.config)
        found = self._known.get(key)
        if found is None:
            found = parse(trigger.config)
            if len(self._known) >= SHARED_CONFIGS_MAX:
                self._known.clear()
            self._known[key] = found
        return found


class Compiled:
    """A trigger ready to be judged.

    `error` says why it can never match, when its stored configuration is broken; `joins` that a match is only one
    member of several that it waits for, as `rule` says; `asks` that what becomes of a match depends on what stands in
    the tables.
    """

    __slots__ = (
        "_key", "asks", "condition", "config", "error", "joins", "module", "pattern", "rule", "shape_keys", "trigger",
    )  # fmt: skip

    def __init__(self, trigger: Trigger, types: Mapping[str, ModuleType], known: Configs | None = None) -> None:
        """Parse the configuration and compile the condition of `trigger`; `known` has configurations of others."""
        self.trigger = trigger
        self.module: Any = types.get(trigger.type)
        self.config: Any = None
        self.condition: Condition | None = None
        self.error: str | None = None
        self.pattern: Pattern | None = None
        self.rule: Any = None
        self.joins = False
        self.asks = False
        self.shape_keys: ShapeKeys | None = None
        self._key: Expression | None = None
        if self.module is None:
            self.error = f"the trigger type `{trigger.type}` is not installed"
            return
        try:
            parse = self.module.Config.model_validate
            self.config = parse(trigger.config) if known is None else known.read(trigger, self.module, parse)
            if trigger.condition:
                self.condition = compile_condition(trigger.condition)
            if trigger.pattern is not None:
                self.pattern = Pattern(trigger.pattern)
            asked = getattr(self.module, "rule", None)
            self.rule = None if asked is None else asked(self.config)
            self.joins = self.rule is not None
            self.asks = self.joins or trigger.overlap is not None
            if trigger.shape is not None:
                self.asks = self.asks or trigger.shape.asks
                self.shape_keys = ShapeKeys(trigger)
            if trigger.overlap is not None and trigger.overlap.key is not None:
                self._key = compile_expression(trigger.overlap.key, EVENT_VARIABLES)
        except Exception as error:  # noqa: BLE001 -- a broken stored row must not stop its neighbours
            self.error = str(error)

    def overlap_key(self, view: EventView, now: int) -> str | None:
        """Return the key that the run of an event shares with those it must not overlap; None where it may.

        An event for which the expression has no value has the key of the value null; a group whose time has come has
        that of the last event in it.
        """
        trigger = self.trigger
        rule = trigger.overlap
        if rule is None:
            return None
        if rule.scope == "trigger":
            return trigger_key(trigger.id)
        of_all, of_value = (limit_key, limit_value_key) if rule.places else (workflow_key, value_key)
        if rule.scope == "workflow" or self._key is None:
            return of_all(trigger.workflow_id)
        known = view.attributes.get("overlap_key") if is_due(view.event) else None
        if known is not None:
            return str(known)
        try:
            return of_value(trigger.workflow_id, self._key.value(event_variables(view, trigger, now)))
        except NO_VALUE:
            return of_value(trigger.workflow_id, None)


Bucket = tuple[Compiled, ...]


class CandidateCache:
    """Finds the candidates of an event; synchronous when they are cached."""

    def __init__(self, catalog: Catalog, store: Store, types: Mapping[str, ModuleType]) -> None:
        """Read through `catalog`; compile with `types`."""
        self._catalog = catalog
        self._store = store
        self.types = types
        self._buckets: dict[tuple[str, str, str, str], Bucket] = {}
        self._hot: set[tuple[str, str, str]] = set()
        self._targets: dict[str, Compiled] = {}
        self._awaiting: dict[str, bool] = {}
        self._failure_limits: dict[str, int | None] = {}
        self._configs = Configs()
        self._size = 0
        self._generation = 0
        self.epoch = 0

    async def refresh(self) -> None:
        """Forget everything and read the index epoch again."""
        epoch = await self._store.epoch()
        # Only now: what is read from here on is at least as new as the epoch; a fill that began before is not kept.
        self.forget()
        self.epoch = max(self.epoch, epoch)

    def forget(self) -> None:
        """Empty the cache; fills that are under way will not be kept."""
        self._generation += 1
        self._buckets.clear()
        self._hot.clear()
        self._targets.clear()
        self._awaiting.clear()
        self._failure_limits.clear()
        self._size = 0

    def moved(self, epoch: int) -> None:
        """Take note that the store's epoch is now `epoch`."""
        if epoch > self.epoch:
            self.forget()
            self.epoch = epoch

    def compile(self, trigger: Trigger) -> Compiled:
        """Return the compiled form of a trigger that was read from the store."""
        return Compiled(trigger, self.types, self._configs)

    def cached(self, event: Event) -> Bucket | None:
        """Return the candidates of `event` when all of them are cached, else None."""
        if event.target_trigger_id is not None:
            target = self._targets.get(event.target_trigger_id)
            return None if target is None else (target,)
        keys = event.index_keys
        if len(keys) == 1:
            key = (event.tenant_id, event.provider, keys[0])
            bucket = self._buckets.get((*key, _ANY))
            if bucket is not None:
                return bucket
        return self._cached_slowly(event)

    def _cached_slowly(self, event: Event) -> Bucket | None:
        found: dict[str, Compiled] = {}
        for index_key in event.index_keys:
            key = (event.tenant_id, event.provider, index_key)
            for sub_key in event.sub_keys if key in self._hot else (_ANY,):
                bucket = self._buckets.get((*key, sub_key))
                if bucket is None:
                    return None
                for compiled in bucket:
                    found[compiled.trigger.id] = compiled
        return tuple(found.values())

    async def find(self, event: Event) -> Bucket:
        """Return the candidates of `event`, reading what is not cached."""
        bucket = self.cached(event)
        if bucket is not None:
            return bucket
        if event.target_trigger_id is not None:
            return await self._find_target(event.tenant_id, event.target_trigger_id)
        found: dict[str, Compiled] = {}
        for index_key in event.index_keys:
            for compiled in await self._find_key(event, index_key):
                found[compiled.trigger.id] = compiled
        return tuple(found.values())

    async def awaits(self, tenant_id: str) -> bool:
        """Return whether runs of the tenant may wait for people; true for ever once a workflow was deployed that asks.

        Deploys move the epoch, so that this is as true as the candidates are.
        """
        known = self._awaiting.get(tenant_id)
        if known is None:
            generation = self._generation
            known = await self._catalog.awaits(tenant_id)
            if generation == self._generation:
                self._awaiting[tenant_id] = known
        return known

    def note_fired(self, compiled: Compiled, epoch: int) -> None:
        """Remember of a trigger, read under `epoch`, what the ends of its runs will ask for.

        Thousands of schedules that are due at one instant would otherwise be read once more each when their runs end.
        """
        if epoch == self.epoch:
            self._keep_limit(compiled)

    async def failure_limit(self, tenant_id: str, trigger_id: str) -> int | None:
        """Return after how many failed runs in a row a live time trigger pauses; None where it never does."""
        if trigger_id in self._failure_limits:
            return self._failure_limits[trigger_id]
        generation = self._generation
        trigger = await self._catalog.trigger(tenant_id, trigger_id)
        if trigger is None:
            return None
        compiled = self.compile(trigger)
        if generation == self._generation:
            self._keep_limit(compiled)
        return _failure_limit(compiled)

    def _keep_limit(self, compiled: Compiled) -> None:
        if len(self._failure_limits) >= NOTED_TRIGGERS_MAX:
            self._failure_limits.clear()
        self._failure_limits[compiled.trigger.id] = _failure_limit(compiled)

    async def _find_target(self, tenant_id: str, trigger_id: str) -> Bucket:
        generation = self._generation
        trigger = await self._catalog.trigger(tenant_id, trigger_id)
        if trigger is None:
            return ()
        compiled = self.compile(trigger)
        if generation == self._generation:
            self._make_room(1)
            self._targets[trigger_id] = compiled
        return (compiled,)

    async def _find_key(self, event: Event, index_key: str) -> list[Compiled]:
        key = (event.tenant_id, event.provider, index_key)
        if key not in self._hot:
            bucket = self._buckets.get((*key, _ANY))
            if bucket is not None:
                return list(bucket)
            generation = self._generation
            triggers = await self._catalog.by_key(*key, WHOLE_KEY_MAX + 1)
            if len(triggers) <= WHOLE_KEY_MAX:
                return list(self._keep((*key, _ANY), triggers, generation))
            if generation == self._generation:
                self._hot.add(key)
        found: list[Compiled] = []
        for sub_key in event.sub_keys:
            bucket = self._buckets.get((*key, sub_key))
            if bucket is None:
                generation = self._generation
                triggers = await self._catalog.by_sub_key(*key, sub_key)
                bucket = self._keep((*key, sub_key), triggers, generation)
            found += bucket
        return found

    def _keep(self, key: tuple[str, str, str, str], triggers: list[Trigger], generation: int) -> Bucket:
        bucket = tuple(self.compile(trigger) for trigger in triggers)
        if generation == self._generation:
            self._make_room(1 + len(bucket))
            self._buckets[key] = bucket
        return bucket

    def _make_room(self, wanted: int) -> None:
        """Drop the oldest buckets until `wanted` more entries fit."""
        self._size += wanted
        while self._size > CACHED_TRIGGERS_MAX and (self._buckets or self._targets):
            if self._targets:
                self._targets.pop(next(iter(self._targets)))
                self._size -= 1
            else:
                oldest = next(iter(self._buckets))
                self._size -= 1 + len(self._buckets.pop(oldest))


def _failure_limit(compiled: Compiled) -> int | None:
    limit: int | None = getattr(compiled.config, "pause_after_failures", None)
    return limit

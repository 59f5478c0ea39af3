"""Reading, checking and planning definitions with the plug-ins that are installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Literal

import msgspec

from workflow_scheduler.core import ids
from workflow_scheduler.core.definition.check import Checked, Rules, inspect
from workflow_scheduler.core.definition.document import invalid, text_error
from workflow_scheduler.core.definition.load import Reading, read, read_value
from workflow_scheduler.core.definition.trigger_check import CheckedTrigger
from workflow_scheduler.core.match.keys import trigger_keys
from workflow_scheduler.core.model.deployment import Claim, PlannedSource, PlannedTrigger
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.workflow import Definition, limit_of, overlap_of
from workflow_scheduler.core.overlap import Overlap
from workflow_scheduler.core.registry import SOURCE_SHAPES
from workflow_scheduler.core.shaping.fields import absence_of, shape_of
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.core.time.due import next_due
from workflow_scheduler.core.time.exclusion import exclusion_of
from workflow_scheduler.stores.portable.workflows import NewVersion

Format = Literal["yaml", "json"]
INLINE_BYTES = 4_000
INLINE_PARTS = 50
_encode = msgspec.json.encode


class Text(msgspec.Struct, frozen=True):
    """A definition as it arrived: its text and format (None: recognised)."""

    text: str | bytes
    format: Format | None = None


Given = Text | Mapping[str, Any]
Earlier = Callable[[str], Awaitable[Mapping[str, Any]]]
Bind = Callable[[Any, Any], tuple[Any, Any]]


class Definitions:
    """Turns what users send into checked definitions and into the triggers to store."""

    def __init__(
        self,
        trigger_types: Mapping[str, ModuleType],
        job_types: Mapping[str, ModuleType],
        clock: Clock,
        rules: Rules | None = None,
    ) -> None:
        """Check against these plug-ins, by these rules."""
        self.trigger_types = trigger_types
        self.job_types = job_types
        self.rules = rules or Rules()
        self._clock = clock
        self._reading = asyncio.Lock()

    async def read(self, given: Given, earlier: Earlier | None = None) -> Checked:
        """Return the one checked definition of what was sent.

        `earlier` returns, for the name in the definition, the triggers of the version before: those that stayed the
        same are not refused because their time has passed.

        Raises:
            DefinitionInvalid: it has mistakes; `errors` names every place.
            TooLarge: the text is larger than a definition may be.

        """
        if _is_large(given):
            # YAML takes seconds per megabyte, and a thousand triggers a tenth of one: too long for the event loop.
            # One after the other, so that readers never outnumber the loop in the queue for the interpreter.
            async with self._reading:
                reading = await asyncio.to_thread(_reading, given)
                return await asyncio.to_thread(self._inspect, reading, await _accepted(reading, earlier))
        reading = _reading(given)
        return self._inspect(reading, await _accepted(reading, earlier))

    async def read_stored(self, definition: str) -> Checked:
        """Return the checked form of a stored version; the plug-ins may have changed since it was stored.

        Raises:
            DefinitionInvalid: it does not pass any more.

        """
        return await self.read_accepted(msgspec.json.decode(definition))

    async def read_accepted(self, value: Mapping[str, Any]) -> Checked:
        """Return the checked form of a definition whose triggers may be past: it is looked at, not saved.

        Raises:
            DefinitionInvalid: it has mistakes of another kind.

        """

        async def itself(_name: str) -> Mapping[str, Any]:
            return value.get("triggers") or {}

        return await self.read(value, itself)

    def _inspect(self, reading: Reading, accepted: Mapping[str, Any]) -> Checked:
        return inspect(reading, self.trigger_types, self.job_types, self._clock.now(), self.rules, accepted)

    def planned(
        self, checked: Checked, tenant_id: str, workflow_id: str, bind: Bind | None = None
    ) -> tuple[PlannedTrigger, ...]:
        """Return the triggers of a definition as they are to be stored; `bind` puts time triggers under calendars."""
        rules = (checked.definition, limit_of(checked.definition, several=self.rules.several))
        plan = partial(_planned, rules=rules, tenant_id=tenant_id, workflow_id=workflow_id, bind=bind)
        return tuple(plan(trigger) for trigger in checked.triggers.values())


def plain_value(given: Given) -> dict[str, Any]:
    """Return a definition as plain values, before any check but that of its text.

    Raises:
        DefinitionInvalid: the text cannot be read, or holds no mapping.

    """
    value = _reading(given).document.value
    if not isinstance(value, dict):
        raise invalid([text_error("a definition is a mapping that begins with `version: 1` and `name:`")])
    return value


def _reading(given: Given) -> Reading:
    if not isinstance(given, Text):
        return read_value(dict(given))
    found = read(given.text, given.format)
    if len(found) != 1:
        raise invalid([text_error(f"the file holds {len(found)} definitions where one is wanted")])
    return found[0]


async def _accepted(reading: Reading, earlier: Earlier | None) -> Mapping[str, Any]:
    value = reading.document.value
    name = value.get("name") if isinstance(value, dict) else None
    return await earlier(name) if earlier is not None and isinstance(name, str) else {}


def _is_large(given: Given) -> bool:
    if isinstance(given, Text):
        return len(given.text) > INLINE_BYTES
    parts = (given.get("triggers"), given.get("jobs"), given.get("nodes"))
    return sum(len(part) for part in parts if isinstance(part, (Mapping, list))) > INLINE_PARTS


def new_version(
    checked: Checked, principal: Principal, workflow_id: str, triggers: tuple[PlannedTrigger, ...], now: int
) -> NewVersion:
    """Return the version to store for a checked definition."""
    loaded = checked.loaded
    return NewVersion(
        tenant_id=principal.tenant_id,
        workflow_id=workflow_id,
        name=checked.definition.name,
        definition=_encode(loaded.value).decode(),
        source=loaded.source,
        source_format=loaded.format,
        hash=loaded.hash,
        triggers=triggers,
        actor=principal.user_id,
        now=now,
    )


def trigger_id(tenant_id: str, workflow_id: str, name: str) -> str:
    """Return the id of a trigger; it is the same in every version of the workflow."""
    return ids.logical_id(tenant_id, workflow_id, name)


def _planned(
    trigger: CheckedTrigger,
    *,
    rules: tuple[Definition, Overlap | None],
    tenant_id: str,
    workflow_id: str,
    bind: Bind | None,
) -> PlannedTrigger:
    own_id = trigger_id(tenant_id, workflow_id, trigger.name)
    module, config = trigger.module, trigger.config
    index_keys = module.index_keys(config)
    timer = module.shape == "timer"
    timed: tuple[Any, Any] = bind(module, config) if timer and bind is not None else (module, config)
    pairs = trigger_keys(module, config, tenant_id=tenant_id, workflow_id=workflow_id, trigger_id=own_id)
    return PlannedTrigger(
        id=own_id,
        name=trigger.name,
        type=trigger.type,
        config=_encode(trigger.plain, order="sorted").decode(),
        shared=_encode(_shared(trigger, *rules), order="sorted").decode(),
        enabled=trigger.shared.enabled,
        index_key=index_keys[0] if index_keys else None,
        keys=tuple(pairs),
        claim=_claim(trigger),
        max_fires=getattr(config, "max_fires", None),
        absence=absence_of(trigger.shared),
        next_due=partial(_next_due, *timed, own_id) if timer else None,
        left_out=None if (exclusion := exclusion_of(timed[1])) is None else exclusion.of,
        source=_source(module, config),
    )


def _source(module: Any, config: Any) -> PlannedSource | None:
    """Return what is asked for a trigger: a source of its own, or what its pushes have missed."""
    key = module.source_key(config) if hasattr(module, "source_key") else None
    if key is None:
        return None
    other = "stream" if hasattr(module, "open") else "poll"
    return PlannedSource(key, module.shape if module.shape in SOURCE_SHAPES else other)


def _next_due(module: Any, config: Any, own_id: str, after: int, anchor: int) -> Any:
    return next_due(module, config, own_id, after, anchor)


def _shared(trigger: CheckedTrigger, definition: Definition, limit: Overlap | None) -> dict[str, Any]:
    shared = trigger.shared
    overlap = overlap_of(shared.overlap, definition)
    priority = definition.priority if shared.priority is None else shared.priority
    return {
        **({} if overlap is None else {"overlap": overlap}),
        **({} if limit is None else {"limit": limit}),
        **({} if not priority else {"priority": priority}),
        **({"defaults": definition.input} if definition.input else {}),
        "condition": shared.condition,
        "on_unknown": shared.on_unknown,
        "input": shared.input,
        "enabled": shared.enabled,
        "description": shared.description,
        "engine": definition.engine,
        "max_depth": definition.max_depth,
        **({"resume": True} if shared.resume else {}),
        **({} if shared.pattern is None else {"pattern": shared.pattern}),
        **({} if (shape := shape_of(shared)) is None else {"shape": shape}),
    }


def _claim(trigger: CheckedTrigger) -> Claim | None:
    """Return the public address the trigger takes, for types that have such (see core/registry, `claim`)."""
    if not hasattr(trigger.module, "claim"):
        return None
    found = trigger.module.claim(trigger.config)
    return None if found is None else Claim(found[0], partial(_agrees, trigger.module, found))


def _agrees(module: ModuleType, mine: tuple[str, Any], stored: str) -> bool:
    try:
        other = module.claim(module.Config.model_validate(msgspec.json.decode(stored)))
    except ValueError:
        return False
    return bool(other == mine)

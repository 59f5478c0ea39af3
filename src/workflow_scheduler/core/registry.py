"""The contracts of the two plug-in kinds, and the registry that finds their members.

A trigger type and a job type are each one module. The module's docstring is its catalogue text (first sentence) and
its reference page; what it must define is listed on the Protocols below. Members are found by listing the package's
folder and the entry-point group, so adding one touches one file.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol, cast

import msgspec
from pydantic import BaseModel, ConfigDict

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.match.verdict import Verdict
from workflow_scheduler.core.model.attachment import Attachment
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.time.fire import Fire

__all__ = (
    "SHAPES", "SOURCE_SHAPES", "Config", "Example", "Fire", "Heard", "JobType", "PushRequest", "TriggerType",
    "discover",
)  # fmt: skip

SHAPES = ("timer", "push", "poll", "stream", "internal")
SOURCE_SHAPES = ("poll", "stream")
"""Shapes that hold or ask for a connection of their own."""


class Config(BaseModel):
    """Base of every plug-in's configuration: closed (unknown keys are errors) and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Poke(msgspec.Struct, frozen=True, gc=False):
    """What a peer says when there is something to ask it for: of which source, by its key, and what proves it."""

    tenant_id: str
    key: str
    proof: Any


class PushRequest(msgspec.Struct, frozen=True, gc=False):
    """An inbound HTTP request as a push trigger sees it. Header names are lower-case, values latin-1 text.

    `signed_with` names the secrets whose check it passed, where several triggers hear it.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: int
    signed_with: tuple[str, ...] = ()


class Heard(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a trigger type makes of one request, message or item; the pipeline turns it into an Event.

    `data` and `attributes` are JSON bytes. `index_keys` and `sub_keys` say where the matcher looks (see TriggerType).
    Where a poll or stream leaves `source` or `index_keys` empty, they are made from its source key.
    `attachments` of polls and streams are stored before the event, whose data describes each of them in a list
    `attachments`; the pipeline adds `ref` there, by which jobs name it.
    """

    source: str
    type: str
    event_key: str | None
    data: bytes
    attributes: bytes = b"{}"
    subject: str | None = None
    time: int | None = None
    index_keys: tuple[str, ...] = ()
    sub_keys: tuple[str, ...] = ("",)
    traceparent: str | None = None
    attachments: tuple[Attachment, ...] = ()

    def healed(self) -> Heard:
        """Return it with the mark of what was found afterwards, because it had not come by itself."""
        attributes = {**msgspec.json.decode(self.attributes), "healed": True}
        return msgspec.structs.replace(self, attributes=msgspec.json.encode(attributes))


class Example(msgspec.Struct, frozen=True):
    """A configuration and an event that matches it; the event is given as the trigger type would hear it."""

    title: str
    config: dict[str, Any]
    event: dict[str, Any]


class TriggerType(Protocol):
    """A module of `workflow_scheduler.triggers` (or of an entry point).

    Always: `name` (as in definition files), `title`, `icon`, `shape` (one of SHAPES), `since`, `extras` (the pip extra
    it needs, or ""), `Config`, `examples`, `index_keys`, `matches`. Optional: `sub_keys(config) -> tuple[str, ...]`,
    a finer key within one index key; a trigger may match only events one of whose `sub_keys` equals one of its own
    ("" on both sides is the default); it keeps 100,000 triggers on one index key from costing a scan.
    timer: `next_fire(config, after, anchor) -> Fire | None` (strictly later than `after`; `anchor` is when the trigger
    was created), `timezone(config) -> str`.
    push: `verify(config, request, secret) -> None` (raises SignatureInvalid) with `secret_name(config) -> str | None`,
    `parse(config, request) -> list[Heard]`. Where one endpoint serves all triggers of the type, config is None.
    Optional: `guard(config, request) -> key | None`, which names a signed request that could come again under another
    identity; `reply(request) -> (media type, body)`, the answer to a request that was heard, in place of a receipt.
    Optional: `async complete(configs, event, io) -> attributes | None`, asked before an event is stored: what its
    sender left out and a trigger with one of `configs` needs; it never raises, and takes a few seconds at most.
    Optional: `source_key(config) -> str | None` with `poll` and `poll_seconds`, as polls have them, where the provider
    can be asked for what was missed, or with `open`, where it can hand events over without calling; what is heard so
    has the keys and the index of the delivery that it was.
    Optional: `claim(config) -> (address, terms) | None`, a public address that no other tenant may take, and that
    triggers of one tenant share only when their terms are equal.
    Optional for all: `async resolve(config, around) -> Resolved` asks the provider at deploy, with `around` a
    core.ports.resolving.Resolving: names become ids, and credentials are tried.
    poll and stream: `source_key(config) -> str` names what is heard: the triggers of a tenant with the same key share
    one source, whose cursor and history belong to the key; events are found under it, so it stands in `index_keys`.
    poll: `async poll(config, cursor, io) -> Polled` and `poll_seconds(config) -> float`. stream: the async generator
    `open(config, position, io)` of Received; optional `silence_seconds(config) -> float | None`, after which a stream
    without a sign of life is taken for dead (two minutes otherwise). See core/ports/sources.
    Optional for poll, where the peer says when it is to be asked: `poke(request) -> Poke | None` reads that, and
    `knows(cursor, proof) -> bool` tells whether the source that it names takes it.
    Optional for both: `secret_names(config) -> tuple[str, ...]`; a field `connection` names a connection.
    Optional for all: `libraries`, the modules of its extra, which must be there before a trigger of the type is stored.
    Optional for all: `normalize(value) -> value` turns short forms of a trigger, shared keys included, into the long
    form before validation, and `short_fields` has the JSON Schema of each key that only short forms have;
    `check(config, now) -> list[FieldError]` and `warnings(config, now) -> list[str]`.
    """

    name: str
    title: str
    icon: str
    shape: str
    since: str
    extras: str
    Config: type[Config]
    examples: Sequence[Example]

    def index_keys(self, config: Any) -> tuple[str, ...]:
        """Return the coarse look-up keys of a trigger with this configuration."""
        ...

    def matches(self, config: Any, event: EventView) -> Verdict:
        """Evaluate the trigger's own predicates. A missing field is unknown, never an error. No I/O."""
        ...


class JobType(Protocol):
    """A module of `workflow_scheduler.jobs` (or of an entry point).

    `name`, `title`, `Config`, `inline` (True: `run` never waits and is called without a task of its own),
    `needs_code_allowance`, `examples` (configurations that are valid as they stand), `run(config, context) -> output`
    (async unless inline), `retryable(error) -> bool`.
    Optional: `shell_fields`, the names of configuration fields that are shell commands (values filled in by `${…}` are
    quoted), `html_fields`, those that are HTML (values are escaped), and `raw_fields`, those in which `${…}` is not
    filled in at all. `starts_process(fields) -> bool` says
    whether a job with these fields, as they are written, runs in a child process; how many of those run at once is
    limited. `run` may return core.dag.park.SleepUntil to be parked.
    """

    name: str
    title: str
    inline: bool
    needs_code_allowance: bool
    examples: Sequence[Mapping[str, Any]]
    Config: type[Config]

    def run(self, config: Any, context: JobContext) -> Any:
        """Do the work and return a JSON-able output; raising fails the attempt."""
        ...

    def retryable(self, error: Exception) -> bool:
        """Return whether another attempt may help."""
        ...


_MEMBERS = {
    "workflow_scheduler.triggers": (
        "name", "title", "icon", "shape", "since", "extras", "Config", "examples", "index_keys", "matches",
    ),
    "workflow_scheduler.jobs": ("name", "title", "inline", "needs_code_allowance", "Config", "examples", "run",
                                "retryable"),
}  # fmt: skip
_OF_SHAPE = {
    "timer": ("next_fire", "timezone"),
    "push": ("verify", "secret_name", "parse"),
    "poll": ("poll", "poll_seconds", "source_key"),
    "stream": ("open", "source_key"),
    "internal": (),
}


def discover(package: str, group: str) -> dict[str, ModuleType]:
    """Return the plug-in modules of `package` and of the entry-point `group`, by their `name`.

    Raises:
        ValidationFailed: a plug-in cannot be loaded, is not whole, or has the name of another one.

    """
    found: dict[str, ModuleType] = {}
    parent = importlib.import_module(package)
    modules = [importlib.import_module(f"{package}.{info.name}") for info in pkgutil.iter_modules(parent.__path__)]
    modules += [_loaded(point, group) for point in importlib.metadata.entry_points(group=group)]
    for module in modules:
        name = getattr(module, "name", None)
        if name is None:
            continue
        if name in found and found[name] is not module:
            raise ValidationFailed(
                f"two plug-ins are named `{name}`: {found[name].__name__} and {module.__name__}",
                fix="Remove one of the two packages, or rename its type.",
            )
        found[name] = module
    return found


def _loaded(point: importlib.metadata.EntryPoint, group: str) -> ModuleType:
    """Return the module of an entry point.

    Raises:
        ValidationFailed: it cannot be imported, or lacks something.

    """
    package = "unknown" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    said = f"the plug-in `{point.name}` ({point.value}) of the package {package}"
    try:
        module = cast("ModuleType", point.load())
    except Exception as error:
        raise ValidationFailed(
            f"{said} cannot be loaded: {type(error).__name__}: {error}", fix="Install the package again, or remove it."
        ) from error
    wanted = _MEMBERS.get(group, ())
    if "shape" in wanted:
        wanted = (*wanted, *_OF_SHAPE.get(str(getattr(module, "shape", None)), ()))
    lacking = [name for name in wanted if not hasattr(module, name)]
    if lacking:
        raise ValidationFailed(
            f"{said} has no {', '.join(f'`{name}`' for name in lacking)}", fix="See docs/how-to/plugins.md."
        )
    if "shape" in wanted and module.shape not in SHAPES:
        raise ValidationFailed(f"{said} has the shape `{module.shape}`", fix=f"Shapes are {', '.join(SHAPES)}.")
    return module

"""What a publication must not do: take a public path of somebody else, or let workflows start each other for ever."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from workflow_scheduler.core.dag.calls import called_workflows
from workflow_scheduler.core.dag.chains import find_cycle
from workflow_scheduler.core.errors import Conflict, FieldError
from workflow_scheduler.core.model.deployment import Claim, PlannedTrigger, Publication
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.store import Row, Sql, Work

UPSTREAM_TYPE = "workflow"


def check_claims(p: Publication) -> Work[None]:
    """Refuse a public address that is taken.

    Raises:
        Conflict: another tenant has it, or a trigger of this tenant has it and checks its requests differently.

    """
    claimed: dict[tuple[str, str], PlannedTrigger] = {}
    for trigger in p.triggers:
        claim = trigger.claim
        if claim is None:
            continue
        first = claimed.setdefault((trigger.type, claim.key), trigger)
        if not claim.agrees(first.config):
            raise _disagreement(trigger.name, claim, f"the trigger `{first.name}` of this workflow")
        rows = yield Sql(
            """SELECT k.tenant_id, w.name, t.name, t.trigger_config FROM trigger_keys k
               JOIN trigger_index t ON t.tenant_id = k.tenant_id AND t.id = k.trigger_id
               JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
               WHERE k.trigger_subtype = :type AND k.index_key = :key AND t.workflow_id <> :workflow""",
            {"type": trigger.type, "key": claim.key, "workflow": p.workflow_id},
        )
        _compare(p.tenant_id, trigger.name, claim, rows)


def _compare(tenant_id: str, name: str, claim: Claim, others: Sequence[Row]) -> None:
    for other_tenant, workflow, trigger, config in others:
        if other_tenant != tenant_id:
            message = f"the path `{claim.key}` is taken"
            raise Conflict(message, fix="choose another path", errors=[FieldError(f"triggers.{name}.path", message)])
        if not claim.agrees(config):
            raise _disagreement(name, claim, f"the trigger `{trigger}` of the workflow `{workflow}`")


def _disagreement(name: str, claim: Claim, other: str) -> Conflict:
    message = f"the path `{claim.key}` is used by {other} with another signature; a request can pass only one of them"
    return Conflict(
        message,
        fix="choose another path, or write the same `signature` in both",
        errors=[FieldError(f"triggers.{name}.path", message)],
    )


def check_cycles(p: Publication) -> Work[None]:
    """Refuse workflows that start each other in a circle.

    Raises:
        Conflict: they would; the message holds the path.

    """
    yield from _check_calls(p)
    upstreams = {key for trigger in p.triggers if trigger.type == UPSTREAM_TYPE for key, _ in trigger.keys}
    if not upstreams:
        return
    live = yield from live_upstreams(p.tenant_id, p.workflow_id)
    path = cycle_with(p.workflow_id, p.workflow, upstreams, live)
    if path is not None:
        raise circle(path)


def _check_calls(p: Publication) -> Work[None]:
    """Refuse workflows whose jobs run each other in a circle; only what is called is read, from call to call."""
    calls: dict[str, Sequence[str]] = {p.workflow: p.calls}
    waiting = list(p.calls)
    while waiting:
        name = waiting.pop()
        if name in calls:
            continue
        rows = yield Sql(
            """SELECT v.definition FROM workflows w JOIN workflow_versions v
               ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id AND v.version = w.live_version
               WHERE w.tenant_id = :tenant AND w.name = :name""",
            {"tenant": p.tenant_id, "name": name},
        )
        calls[name] = _called_by(rows[0][0]) if rows else ()
        waiting += calls[name]
    path = find_cycle(p.workflow, calls)
    if path is not None:
        message = f"the workflows would run each other in a circle: {' → '.join(reversed(path))}"
        raise Conflict(message, fix="remove one of their `uses: workflow` jobs", errors=[FieldError("jobs", message)])


def _called_by(text: str) -> Sequence[str]:
    """Return the calls of a stored definition; one that cannot be read never runs."""
    try:
        return called_workflows(Definition.model_validate_json(text))
    except ValueError:
        return ()


def circle(path: Sequence[str]) -> Conflict:
    """Return the error for workflows that start each other."""
    message = f"the workflows would start each other in a circle: {' → '.join(path)}"
    return Conflict(message, fix="remove one of their `workflow` triggers", errors=[FieldError("triggers", message)])


def live_upstreams(tenant_id: str, without: str) -> Work[list[Row]]:
    """Return (workflow id, name, upstream) of every live `workflow` trigger, without those of one workflow."""
    rows = yield Sql(
        """SELECT DISTINCT w.id, w.name, k.index_key FROM trigger_keys k
           JOIN trigger_index t ON t.tenant_id = k.tenant_id AND t.id = k.trigger_id
           JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
           WHERE k.tenant_id = :tenant AND k.trigger_subtype = :type AND w.id <> :workflow""",
        {"tenant": tenant_id, "type": UPSTREAM_TYPE, "workflow": without},
    )
    return rows


def cycle_with(workflow_id: str, name: str, upstreams: set[str], live: Sequence[Row]) -> list[str] | None:
    """Return the circle that a workflow with these upstreams would close among the live ones, as names."""
    names: dict[str, str] = {workflow_id: name} | {row[0]: row[1] for row in live}
    edges: dict[str, set[str]] = defaultdict(set)
    for row in live:
        edges[row[1]].add(str(names.get(row[2], row[2])))
    edges[name] = {names.get(upstream, upstream) for upstream in upstreams}
    return find_cycle(name, edges)

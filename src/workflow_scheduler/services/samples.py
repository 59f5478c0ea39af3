"""Sample events by type: the examples of the trigger types, and one of each event that the system tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from workflow_scheduler.core.errors import NotFound, did_you_mean
from workflow_scheduler.core.model.system_event import SYSTEM_EVENTS

_ID = "0197f0c2-7d3a-7000-8000-000000000001"
_VALUES: dict[str, Any] = {
    "workflow_name": "critical_billing", "workflow_version": 3, "trigger_name": "nightly", "name": "ada",
    "email": "ada@example.com", "role": "editor", "actor": "ada", "user_id": "ada", "prefix": "wfs_ab",
    "action": "deploy", "attempts": 5, "failures": 3, "code": "not_connected", "type": "kafka", "kind": "run",
    "trigger_type": "cron", "status": "SUCCEEDED", "job_id": "approve", "ask": "Publish?", "to": ["group:finance"],
    "links": {}, "reminder": 0, "escalated": False, "output": {"rows": 1042}, "error": None, "missing": "customer-etl",
    "arrived": ["sales-etl"], "correlation": None,
    "reason": "poison", "detail": "the run was delivered too often", "remedy": "check the address and the password",
    "source": "/kafka/orders", "url": "http://127.0.0.1:8003/waits/example",
}  # fmt: skip


def sample_of(kind: str, types: Mapping[str, ModuleType]) -> dict[str, Any]:
    """Return a sample as a CloudEvent: `type`, `source`, `subject` and `data`.

    `kind` is the type of an event, or the name of a trigger type whose first example is wanted.

    Raises:
        NotFound: there is no sample of that kind.

    """
    known = samples(types)
    if kind not in known:
        near = did_you_mean(kind, list(known))
        hint = f", did you mean `{near}`?" if near else ""
        raise NotFound(f"there is no sample `{kind}`{hint}", fix=f"the samples are {', '.join(sorted(known))}")
    return known[kind]


def samples(types: Mapping[str, ModuleType]) -> dict[str, dict[str, Any]]:
    """Return every sample by the type of the event, and by the trigger type that hears such events."""
    found: dict[str, dict[str, Any]] = {name: _told(name, fields) for name, fields in SYSTEM_EVENTS.items()}
    for module in types.values():
        for example in module.examples:
            event = _event(module, example.event)
            found.setdefault(module.name, event)
            if "type" in example.event and module.name != "workflow":
                found[event["type"]] = event
    return found


def _told(name: str, fields: tuple[str, ...]) -> dict[str, Any]:
    data = {field: _value(field) for field in fields}
    if name in {"workflow_failed", "workflow_cancelled"}:
        data |= {"status": name.removeprefix("workflow_").upper(), "output": None}
    return {"type": name, "source": f"/system/samples/{name}", "subject": _ID, "data": data}


def _value(field: str) -> Any:
    if field in _VALUES:
        return _VALUES[field]
    if field.endswith("_at") or field == "since":
        return "2027-03-14T07:30:00Z"
    return _ID


def _event(module: ModuleType, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of an example; a request stands for the event that would come of it."""
    data = event["data"] if "data" in event else event.get("body", event)
    headers = event.get("headers") or {}
    kind = event.get("type") or headers.get("x-github-event") or module.name
    return {
        "type": str(kind),
        "source": str(event.get("source") or f"/samples/{module.name}"),
        "subject": event.get("subject"),
        "data": data,
    }

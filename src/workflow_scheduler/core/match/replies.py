"""What an event says that may be an answer: where it belongs, who speaks, and what is said.

Events of the providers `slack`, `email` and `github` are read as those services send them. A CloudEvent may carry the
same facts under `slack`, `email` or `github` in its data, or be of a type that begins with `slack.`, `email.` or
`github.`. Any event may name a wait by `interaction_id`, and prove who answers by `wait_token`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.wait import WaitRequest

CHANNELS: Final = ("slack", "email", "github")
TEXT_CHARACTERS_MAX = 10_000
FACT_CHARACTERS_MAX = 1_000
_YES: Final = frozenset(
    {"approve", "approved", "approves", "yes", "y", "ok", "okay", "accept", "accepted", "+1", "lgtm"}
)
_NO: Final = frozenset({"reject", "rejected", "rejects", "no", "n", "deny", "denied", "decline", "declined", "-1"})
_SAID: Final = ("approved", "decision", "answer", "comment")
_IDS_MAX = 20


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one event. `said` is the structured answer, where there is one; `text` what a person wrote.

    `tokens` are signed tokens, not yet checked. `claims` says whether the event may say who answers.
    """

    ids: frozenset[str] = frozenset()
    tokens: tuple[str, ...] = ()
    conversations: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    who: tuple[str, ...] = ()
    said: dict[str, Any] | None = None
    text: str | None = None
    correlation: str | None = None

    @property
    def aims(self) -> bool:
        """Whether it may belong to a wait of a workflow of which it matches no trigger."""
        return bool(self.ids or self.tokens or self.conversations or self.correlation is not None)


NOTHING: Final = Reply()


def read_reply(view: EventView) -> Reply:
    """Return the facts of an event; never raises, whatever it holds."""
    try:
        data = view.data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return NOTHING
    if not isinstance(data, dict):
        return NOTHING
    event = view.event
    kind, part = _channel(event.provider, event.type, data)
    facts = {"slack": _slack, "email": _email, "github": _github}[kind](part) if kind else {}
    said = _said(data, facts.pop("said", None))
    ids = {*_texts(data, "interaction_id"), *facts.pop("ids", ())}
    conversations = set(facts.pop("conversations", ()))
    conversations |= {f"webhook:{token}" for token in _texts(data, "reply_token")}
    who = facts.pop("who", ())
    if event.provider == "event" and event.user_id and not who:
        who = (event.user_id,)
    return Reply(
        ids=frozenset(sorted(ids)[:_IDS_MAX]),
        tokens=tuple(_texts(data, "wait_token")),
        conversations=frozenset(conversations),
        who=who,
        said=said,
        correlation=next(iter(_texts(data, "correlation")), None),
        **facts,
    )


def _channel(provider: str, kind: str, data: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return which channel an event speaks of, and the part of its data that does."""
    for name in CHANNELS:
        part = data.get(name)
        if provider == "event" and isinstance(part, dict):
            return name, part
    first = kind.partition(".")[0]
    if provider in CHANNELS:
        return provider, data
    return (first, data) if provider == "event" and first in CHANNELS else (None, {})


def _texts(data: dict[str, Any], name: str) -> list[str]:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return []
    text = str(value)
    return [text] if 0 < len(text) <= FACT_CHARACTERS_MAX else []


def _dict(data: Any, *path: str) -> dict[str, Any]:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _text(data: dict[str, Any], *names: str) -> str | None:
    for name in names:
        value = data.get(name)
        if isinstance(value, str) and value:
            return value[:TEXT_CHARACTERS_MAX]
    return None


def _slack(part: dict[str, Any]) -> dict[str, Any]:
    """Read a message (Events API) or a pressed button (interactivity); what a bot writes answers nothing."""
    inner = _dict(part, "event") or part
    if inner.get("bot_id") and not part.get("actions"):
        return {}
    team = _text(part, "team_id", "team") or _text(inner, "team") or _text(_dict(part, "team"), "id")
    channel = _text(inner, "channel") or _text(_dict(part, "channel"), "id")
    message = _dict(part, "message")
    thread = _text(inner, "thread_ts") or _text(message, "thread_ts", "ts")
    user = _text(inner, "user") or _text(_dict(part, "user"), "id")
    # A wait that names no team is found in every one.
    places = {f"slack:{team or ''}/{channel}", f"slack:/{channel}"} if channel else set()
    facts: dict[str, Any] = {
        "conversations": tuple(f"{place}/{thread}" for place in places) if thread else (),
        "scopes": frozenset(places),
        "who": (f"slack:{user}",) if user else (),
        "text": _text(inner, "text"),
    }
    for action in part.get("actions") or () if isinstance(part.get("actions"), list) else ():
        value, pressed = _text(_dict(action), "value"), _text(_dict(action), "action_id")
        if value and pressed:
            facts["ids"] = (value,)
            facts["said"] = {"decision": pressed.rpartition(":")[2]}
    return facts


def _email(part: dict[str, Any]) -> dict[str, Any]:
    sender = _text(part, "from", "sender")
    replied = [*_ids(part.get("in_reply_to")), *_ids(part.get("references"))]
    to = _addresses(part.get("to"))
    tokens = [tag for address in to if (tag := address.partition("@")[0].partition("+")[2])]
    return {
        "conversations": (*(f"email:{one}" for one in replied), *(f"email-token:{tag}" for tag in tokens)),
        "scopes": frozenset(f"email:{address}" for address in to),
        "who": tuple(_addresses(sender)),
        "text": _text(part, "text", "body"),
    }


def _github(part: dict[str, Any]) -> dict[str, Any]:
    repository = _text(_dict(part, "repository"), "full_name") or _text(part, "repository")
    issue = _dict(part, "issue") or _dict(part, "pull_request") or part
    number = issue.get("number")
    user = _text(_dict(part, "comment", "user"), "login") or _text(_dict(part, "sender"), "login")
    name = (repository or "").lower()
    return {
        "conversations": (f"github:{name}#{number}",) if name and isinstance(number, int) else (),
        "scopes": frozenset({f"github:{name}"} if name else ()),
        "who": (f"github:{user}",) if user else (),
        "text": _text(_dict(part, "comment"), "body") or _text(part, "body"),
    }


def _ids(value: Any) -> Iterator[str]:
    """Yield Message-IDs without their brackets."""
    parts = value if isinstance(value, list) else str(value or "").split()
    for part in parts[:100]:
        text = str(part).strip().strip("<>")
        if text:
            yield text[:FACT_CHARACTERS_MAX]


def _addresses(value: Any) -> list[str]:
    """Return addresses in lower case, taken out of `Name <address>` where need be."""
    parts = value if isinstance(value, list) else str(value or "").split(",")
    found = []
    for part in parts[:100]:
        text = str(part)
        address = text.partition("<")[2].partition(">")[0] if "<" in text else text
        if "@" in address:
            found.append(address.strip().lower())
    return found


def _said(data: dict[str, Any], pressed: Any) -> dict[str, Any] | None:
    """Return the structured part of an answer: `approved`, `decision`, `answer`, `comment`."""
    part = _dict(data, "resume_data") or data
    found: dict[str, Any] = {name: part[name] for name in _SAID if name in part}
    if found.keys() - {"comment"}:
        return found
    return pressed if isinstance(pressed, dict) else None


class Heard(msgspec.Struct, frozen=True):
    """An answer as it is understood for one wait, or the flaw that makes it none."""

    approved: bool | None = None
    answer: Any = None
    comment: str | None = None
    flaw: str | None = None


def understand(reply: Reply, request: WaitRequest) -> Heard:
    """Read what a reply answers to a request; the form is not checked here."""
    if reply.said is not None:
        return _structured(reply.said, request)
    text = (reply.text or "").strip()
    if not text:
        return Heard(flaw="the event holds no answer")
    if not request.decides:
        return Heard(answer=_filled_in(text, request.form))
    word, _, rest = own_words(text).partition(" ")
    word = word.strip(".,!:;").lower()
    if word not in _YES | _NO:
        return Heard(flaw="the message begins with neither `approve` nor `reject`")
    return Heard(approved=word in _YES, comment=rest.strip() or None)


def own_words(text: str) -> str:
    """Return the first line that a person wrote, without the mention of a bot and without what a mail quotes."""
    for line in text.splitlines():
        words = [word for word in line.split() if not (word.startswith("<@") and word.endswith(">"))]
        if words and not words[0].startswith(">"):
            return " ".join(words)
    return ""


def _structured(said: dict[str, Any], request: WaitRequest) -> Heard:
    comment = said.get("comment")
    if comment is not None and not isinstance(comment, str):
        return Heard(flaw="`comment` must be text")
    answer = said.get("answer")
    if not request.decides:
        return Heard(answer=answer, comment=comment)
    approved = said.get("approved")
    if approved is None and isinstance(said.get("decision"), str):
        word = said["decision"].lower()
        approved = True if word in _YES else False if word in _NO else None
    if not isinstance(approved, bool):
        return Heard(flaw="neither `approved` (true or false) nor `decision` (approve or reject) is given")
    return Heard(approved=approved, answer=answer, comment=comment)


def _filled_in(text: str, form: dict[str, Any] | None) -> Any:
    """Return the message as the answer: as the one text field of an object, or as it is."""
    properties = (form or {}).get("properties")
    if isinstance(properties, dict) and len(properties) == 1:
        return {next(iter(properties)): text}
    return text

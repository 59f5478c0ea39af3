"""What the types for buckets have in common: which objects count, and what is told of them."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import AfterValidator, Field

from workflow_scheduler.core.inbound.content import text_of
from workflow_scheduler.core.inbound.listing import Change, Kind
from workflow_scheduler.core.match.fields import Texts
from workflow_scheduler.core.match.glob import compile_globs
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.registry import Config, Heard
from workflow_scheduler.core.time.clock import to_iso

NOTIFIED_SECONDS: Final = 5.0
_encode = msgspec.json.encode


def _globs(value: tuple[str, ...]) -> tuple[str, ...]:
    compile_globs(value)
    return value


class ListedConfig(Config):
    """Which objects of a bucket count, and how they are found."""

    prefix: str = Field(
        default="",
        title="Prefix",
        description="Only objects whose names begin so.",
        max_length=1_000,
        json_schema_extra={"ui": {"placeholder": "orders/"}},
    )
    patterns: Annotated[Texts, AfterValidator(_globs)] = Field(
        default=("**",),
        title="Patterns",
        description="Which names count: `**/*.csv`; those with `!` are left out.",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "**/*.csv"}},
    )
    events: tuple[Kind, ...] = Field(
        default=("created",),
        min_length=1,
        title="Events",
        description="created, modified, deleted. With notifications whatever is put there is created.",
    )
    every: Duration = Field(
        default=60.0,
        ge=1,
        le=86_400,
        title="Every",
        description="The pause between two looks: 60s. Notifications are asked for every 5 s at least.",
    )
    content: Literal["none", "text", "base64"] = Field(
        default="none", title="Content", description="Whether the event holds what is in the object, and how."
    )
    max_bytes: int = Field(
        default=262_144, ge=1, le=1_000_000, title="Size", description="Larger objects come without their content."
    )
    start: Literal["latest", "earliest"] = Field(
        default="latest", title="Start", description="latest: objects that are there at first do not count."
    )

    def counts(self, name: str) -> bool:
        """Tell whether an object of this name counts; a name that ends in `/` is only a folder of some tools."""
        return (
            not name.endswith("/")
            and "\x00" not in name
            and name.startswith(self.prefix)
            and compile_globs(self.patterns).matches(name)
        )

    def wants_content(self, change: Change) -> bool:
        """Tell whether what is in the object is to be read."""
        return self.content != "none" and change.kind != "deleted" and change.object.size <= self.max_bytes

    def shown(self, content: bytes | None) -> str | None:
        """Return what is in an object as the event holds it."""
        if content is None or len(content) > self.max_bytes:
            return None
        return text_of(content) if self.content == "text" else base64.b64encode(content).decode()

    def only_created(self, *, notified: bool) -> None:
        """Refuse what a notification cannot tell.

        Raises:
            ValueError: changes are to be told from new objects.

        """
        if notified and "modified" in self.events:
            message = "a notification does not say whether the object was there before; write `created`"
            raise ValueError(message)


def heard_of(
    provider: str, bucket: str, change: Change, content: str | None, facts: dict[str, Any], at: int | None = None
) -> Heard:
    """Return the event of a change; `facts` are what only this provider tells, `at` when it was, if that is known."""
    one = change.object
    data = {
        "key": one.name,
        "name": one.name.rpartition("/")[2],
        "bucket": bucket,
        "size": one.size if change.kind != "deleted" else None,
        **facts,
        "modified_at": None if one.modified_at is None else to_iso(one.modified_at),
        "content": content,
    }
    return Heard(
        source="", type=f"{provider}.{change.kind}", event_key=change.key, data=_encode(data),
        attributes=_encode({"event": change.kind, "bucket": bucket, "key": one.name}),
        subject=one.name[:500], time=at if at is not None else one.modified_at,
    )  # fmt: skip

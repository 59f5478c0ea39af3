"""How a list that is answered in pages is read on: by link, by address, by cursor, by number."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urljoin, urlsplit

import re2
from pydantic import Field

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.match.jsonpath import JsonPath, value_at
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.core.registry import Config as BaseConfig

_LINKS = re2.compile(r"<([^>]*)>([^<]*)")
_REL = re2.compile(r"(?i)\brel\s*=\s*(?:\"([^\"]*)\"|([^\s;,]+))")


class LinkPages(BaseConfig):
    """The next page is in the `Link` header (`rel="next"`)."""

    by: Literal["link"] = Field(default="link", title="By", description="link")


class UrlPages(BaseConfig):
    """The address of the next page is in the answer."""

    by: Literal["url"] = Field(title="By", description="url")
    path: JsonPath = Field(title="Path", description="JSONPath of the next address; absent or null on the last page.")


class CursorPages(BaseConfig):
    """The answer holds a cursor for the next page."""

    by: Literal["cursor"] = Field(title="By", description="cursor")
    path: JsonPath = Field(title="Path", description="JSONPath of the cursor; absent, null or empty on the last page.")
    param: str = Field(min_length=1, max_length=200, title="Parameter", description="Query parameter that takes it.")


class NumberedPages(BaseConfig):
    """Pages have numbers; an empty page, or one shorter than `size`, is the last."""

    by: Literal["number"] = Field(title="By", description="number")
    param: str = Field(default="page", min_length=1, max_length=200, title="Parameter", description="Of the number.")
    first: int = Field(default=1, ge=0, le=1_000_000, title="First", description="The number of the first page.")
    size: int | None = Field(default=None, ge=1, le=10_000, title="Size", description="Items on a full page, if known.")


Pages = Annotated[LinkPages | UrlPages | CursorPages | NumberedPages, Field(discriminator="by")]


def following(pages: Any, asked: str | None, reply: HttpReply, answer: Any, count: int) -> str | None:
    """Return what leads to the next page, or None at the last one; a page that leads to itself is the last.

    `asked` is what led to this page, None for the first; `answer` its JSON, `count` the number of items on it.

    Raises:
        Rejected: the next page is at another host, to which the credentials do not belong.

    """
    found = None
    if isinstance(pages, LinkPages):
        found = next_link(reply.headers.get("link", ""))
        found = None if found is None else urljoin(reply.url, found)
    elif isinstance(pages, UrlPages):
        value = value_at(pages.path, answer)
        found = urljoin(reply.url, value) if isinstance(value, str) and value else None
    elif isinstance(pages, CursorPages):
        value = value_at(pages.path, answer)
        usable = isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
        found = str(value) if usable else None
    elif isinstance(pages, NumberedPages) and count and (pages.size is None or count >= pages.size):
        found = str(int(asked or pages.first) + 1)
    if found is not None and isinstance(pages, (LinkPages, UrlPages)):
        _check_origin(reply.url, found)
    return None if found == asked else found


def next_link(header: str) -> str | None:
    """Return the target of `rel="next"` in a Link header (RFC 8288)."""
    for target, parameters in _LINKS.findall(header):
        found = _REL.search(parameters)
        if found is not None and "next" in (found[1] or found[2] or "").lower().split():
            return str(target)
    return None


def _check_origin(asked: str, to: str) -> None:
    here, there = urlsplit(asked), urlsplit(to)
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        raise Rejected(
            f"the next page is at {there.scheme}://{there.netloc}, not at {here.netloc}",
            fix="Poll that address, or page by cursor or number.",
        )

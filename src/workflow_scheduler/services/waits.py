"""Waits: list and show them, answer them, and make links with which people answer without logging in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from workflow_scheduler.core import links
from workflow_scheduler.core.errors import (
    Conflict,
    FieldError,
    Forbidden,
    LateResponse,
    NotFound,
    Rejected,
    ValidationFailed,
)
from workflow_scheduler.core.links import answer_link, key_context, page_url
from workflow_scheduler.core.match.answers import Person, answer_errors, may_answer
from workflow_scheduler.core.match.replies import Heard
from workflow_scheduler.core.model.principal import Principal, Role
from workflow_scheduler.core.model.wait import Answer, Wait, WaitStatus, shape
from workflow_scheduler.core.ports.store import Page, Store, Work
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.stores.portable import waits
from workflow_scheduler.stores.portable.runs import RunRepository
from workflow_scheduler.stores.portable.wait_lists import WaitFilter, WaitRepository

LOCAL = "local"
_LIST = "list those that are open: GET /api/v1/waits?status=OPEN"


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody answers. `by` names the person where nobody is logged in; elsewhere the credentials do."""

    approved: bool | None = None
    answer: Any = None
    comment: str | None = None
    by: str | None = None


class Waits:
    """The waits of all tenants, as people meet them."""

    def __init__(self, store: Store, clock: Clock, vault: Vault, public_url: str) -> None:
        """Read from and write to `store`; `vault` opens the keys of links."""
        self._store = store
        self._clock = clock
        self._vault = vault
        self._public_url = public_url
        self._waits = WaitRepository(store)
        self._runs = RunRepository(store)
        self.on_answer: Callable[[], None] | None = None

    async def page(
        self,
        principal: Principal,
        *,
        status: str | None = None,
        workflow: str | None = None,
        run: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return waits, the newest first. `workflow` is an id or a name."""
        tenant = principal.tenant_id
        workflow_id = None if workflow is None else await self._runs.workflow_id(tenant, workflow)
        wanted = WaitFilter(status=status, workflow_id=workflow_id, run_id=run)
        found, following = await self._waits.page(tenant, wanted, limit, cursor)
        answers = await self._waits.answers(tenant, [wait.id for wait in found])
        return Page([self._shape(wait, answers.get(wait.id, [])) for wait in found], following)

    async def show(self, principal: Principal, wait_id: str) -> dict[str, Any]:
        """Return one wait with its answers.

        Raises:
            NotFound: the tenant has no such wait.

        """
        return await self._shown(await self._find(principal.tenant_id, wait_id))

    async def answer(self, principal: Principal, wait_id: str, given: Given) -> dict[str, Any]:
        """Answer a wait, and return it as it stands then.

        Raises:
            NotFound: the tenant has no such wait.
            Forbidden: the caller is not one of its responders.
            ValidationFailed: the answer breaks a rule of the wait; the errors name the fields.
            LateResponse: it is closed.
            Conflict: this person has answered it before.

        """
        is_local = principal.method == LOCAL
        if given.by is not None and not is_local and given.by != principal.user_id:
            raise ValidationFailed(
                "`by` is the caller, and nobody else", errors=[FieldError("by", "leave it out: the credentials say it")]
            )
        name = given.by if is_local and given.by else principal.user_id
        return await self._carry_out(
            lambda: self._answer(principal.tenant_id, wait_id, given, (name, "api"), anybody=is_local)
        )

    async def answer_by_run(self, principal: Principal, run_id: str, wait_id: str | None, given: Given) -> None:
        """Answer the wait of a run: the one that is named, or the only one that is open.

        Raises:
            Conflict: the run waits for nobody, or for several and none is named.

        """
        found = await self._waits.open_of_run(principal.tenant_id, run_id)
        if wait_id is not None:
            found = [wait for wait in found if wait.id == wait_id]
        if len(found) != 1:
            asked = f" `{wait_id}`" if wait_id else ""
            what = f"has {len(found)} open interactions" if found else f"has no open interaction{asked} to answer"
            raise Conflict(f"Execution `{run_id}` {what}.", fix=f"See where it stands: GET /api/v1/waits?run={run_id}")
        await self.answer(principal, found[0].id, given)

    async def linked(self, token: str) -> tuple[dict[str, Any], str]:
        """Return the wait that a signed link is for, and the responder that it speaks for.

        Raises:
            NotFound: the link was not made by this service, or its time is over.

        """
        link, wait = await self._open(token)
        return await self._shown(wait), link.responder

    async def answer_linked(self, token: str, given: Given) -> dict[str, Any]:
        """Answer the wait that a signed link is for; see `answer` for the errors.

        Raises:
            NotFound: the link was not made by this service, or its time is over.

        """
        link, wait = await self._open(token)
        return await self._carry_out(
            lambda: self._answer(wait.tenant_id, wait.id, given, (link.responder, "link"), anybody=not wait.to)
        )

    async def link(self, principal: Principal, wait_id: str, responder: str) -> dict[str, Any]:
        """Return a signed link with which `responder` answers without logging in.

        Raises:
            NotFound: the tenant has no such wait.
            Forbidden: the caller may not change anything in the tenant.
            LateResponse: the wait is closed.
            ValidationFailed: `responder` may not answer it.

        """
        if not principal.may_act_as(Role.EDITOR):
            raise Forbidden("a link answers in the name of somebody else; this needs the role `editor`")
        wait = await self._find(principal.tenant_id, wait_id)
        if wait.status is not WaitStatus.OPEN:
            raise _closed(wait)
        allowed = await self._store.transact(_allowed(wait, responder))
        if not allowed:
            message = f"`{responder}` is not one of those who may answer"
            raise ValidationFailed(message, errors=[FieldError("responder", message)])
        return {
            "responder": responder,
            "url": answer_link(self._vault, self._public_url, wait, responder, self._clock.now()),
        }

    async def _carry_out(self, make: Callable[[], Work[Wait | None]]) -> dict[str, Any]:
        wait = await self._store.transact(make())
        if self.on_answer is not None:
            self.on_answer()
        if wait is None:
            wait = await self._store.transact(make())
            assert wait is not None
        return await self._shown(wait)

    def _answer(
        self, tenant_id: str, wait_id: str, given: Given, who: tuple[str, str], *, anybody: bool
    ) -> Work[Wait | None]:
        """Check and store an answer. `who` is the name and the way; `anybody` may answer whatever `to` says.

        Returns None where all that was done is to expire the wait: the error that follows from it must not undo that.
        """
        (name, via), now = who, self._clock.now()
        yield from waits.lock(self._store.dialect, tenant_id)
        wait = yield from waits.get(tenant_id, wait_id)
        if wait is None:
            raise _unknown(wait_id)
        if wait.has_expired(now):
            yield from waits.expire(wait, now)
            return None
        person = yield from waits.person_of(tenant_id, [name])
        assert person is not None
        groups = yield from waits.groups_of(tenant_id, wait.to)
        _check_person(wait, person, allowed=may_answer(wait, person, groups), anybody=anybody)
        if wait.status is not WaitStatus.OPEN:
            raise _closed(wait)
        heard = Heard(given.approved, given.answer, (given.comment or "").strip() or None)
        _check_answer(wait, heard)
        answer = Answer(
            by=person.name, at=now, via=via, approved=heard.approved if wait.request.decides else None,
            answer=msgspec.json.encode(heard.answer), comment=heard.comment,
        )  # fmt: skip
        after = yield from waits.give(wait, answer)
        if after is None:
            raise Conflict(
                f"`{person.name}` has answered this wait before.", fix=f"See it: GET /api/v1/waits/{wait_id}"
            )
        return after

    async def _open(self, token: str) -> tuple[links.Link, Wait]:
        link = links.read(token)
        wait = None if link is None else await self._waits.get(link.tenant_id, link.wait_id)
        if link is None or wait is None or self._clock.now() >= link.until:
            raise NotFound("This link is not valid, or its time is over.", fix="Ask for a new one.")
        try:
            key = self._vault.open(wait.key, key_context(wait.tenant_id, wait.id))
        except Rejected as error:
            raise NotFound("This link is not valid, or its time is over.", fix="Ask for a new one.") from error
        if not links.is_genuine(token, key):
            raise NotFound("This link is not valid, or its time is over.", fix="Ask for a new one.")
        return link, wait

    async def _find(self, tenant_id: str, wait_id: str) -> Wait:
        try:
            wait = await self._waits.get(tenant_id, wait_id)
        except (ValueError, TypeError) as error:
            raise Conflict(f"The stored row of wait `{wait_id}` cannot be read: {error}") from error
        if wait is None:
            raise _unknown(wait_id)
        return wait

    async def _shown(self, wait: Wait) -> dict[str, Any]:
        answers = await self._waits.answers(wait.tenant_id, [wait.id])
        return self._shape(wait, answers.get(wait.id, []))

    def _shape(self, wait: Wait, answers: list[Answer]) -> dict[str, Any]:
        request = wait.request
        return {
            "id": wait.id,
            "interaction_id": wait.id,
            "status": wait.status.value,
            "ask": request.ask,
            "to": list(wait.to),
            "form": request.form,
            "decision": request.decides,
            "quorum": request.quorum,
            "four_eyes": request.four_eyes,
            "require_comment": request.require_comment,
            "workflow_id": wait.workflow_id,
            "workflow": wait.workflow,
            "run_id": wait.run_id,
            "job_id": wait.job_id,
            "correlation": request.correlation,
            "conversations": list(request.channel.conversations),
            "opened_at": to_iso(wait.opened_at),
            "expires_at": _moment(wait.expires_at),
            "on_timeout": request.on_timeout,
            "next_at": _moment(wait.next_at),
            "reminded": wait.reminded,
            "escalated": wait.escalated,
            "closed_at": _moment(wait.closed_at),
            "output": None if wait.output is None else msgspec.Raw(wait.output),
            "answers": [shape(answer) for answer in answers],
            "url": page_url(self._public_url, wait.id),
        }


def _allowed(wait: Wait, responder: str) -> Work[bool]:
    person = yield from waits.person_of(wait.tenant_id, [responder])
    groups = yield from waits.groups_of(wait.tenant_id, wait.to)
    return bool(may_answer(wait, person, groups))


def _check_person(wait: Wait, person: Person, *, allowed: bool | None, anybody: bool) -> None:
    starter = wait.request.four_eyes and wait.started_by in person.known_as
    if starter:
        raise Forbidden(f"`{person.name}` started the run, and four eyes are wanted", fix="let somebody else answer")
    if not allowed and not anybody:
        raise Forbidden(
            f"`{person.name}` is not one of those who may answer this wait", fix=f"it asks {', '.join(wait.to)}"
        )


def _check_answer(wait: Wait, heard: Heard) -> None:
    errors = answer_errors(wait.request, heard)
    if wait.request.decides and heard.approved is None:
        errors.insert(0, FieldError("approved", "is required: true or false"))
    if errors:
        detail = "; ".join(f"{line.field} {line.message}" for line in errors[:3])
        raise ValidationFailed(detail, errors=errors)


def _unknown(wait_id: str) -> NotFound:
    return NotFound(f"there is no wait `{wait_id}`", fix=_LIST)


def _closed(wait: Wait) -> LateResponse:
    when = f" at {to_iso(wait.closed_at)}" if wait.closed_at is not None else ""
    return LateResponse(
        f"This wait was closed{when} ({wait.status.value}); the answer changes nothing.",
        fix=f"See what was decided: GET /api/v1/waits/{wait.id}",
    )


def _moment(at: int | None) -> str | None:
    return None if at is None else to_iso(at)

"""`/api/v1/waits`: paused jobs that want an answer from people, and the answers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflow_scheduler.api import answer_forms
from workflow_scheduler.api.answers import Listing, answer, listing
from workflow_scheduler.api.body import decode_json
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.problems import from_validation
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.model.wait import WaitStatus
from workflow_scheduler.services.waits import Given

router = APIRouter(prefix="/api/v1/waits", tags=["waits"])
Id = Annotated[str, Path(max_length=256)]
_WORDS = {"approve": True, "approved": True, "reject": False, "rejected": False}


class WaitAnswer(BaseModel):
    """What somebody answered."""

    by: str
    approved: bool | None
    answer: Any
    comment: str | None
    via: str = Field(description="`api`, `link`, or the provider of the event that answered.")
    at: str


class ShownWait(BaseModel):
    """A paused job that wants an answer. `output` is what the job gets, once the wait is closed."""

    id: str
    interaction_id: str
    status: WaitStatus
    ask: str
    to: list[str] = Field(description="Who may answer; empty: everybody in the tenant.")
    form: dict[str, Any] | None = Field(description="JSON Schema of `answer`.")
    decision: bool = Field(description="Whether to approve or reject.")
    quorum: int
    four_eyes: bool
    require_comment: bool
    workflow_id: str
    workflow: str
    run_id: str
    job_id: str
    correlation: str | None
    conversations: list[str] = Field(description="Threads in which people answer.")
    opened_at: str
    expires_at: str | None
    on_timeout: str
    next_at: str | None = Field(description="When it is reminded, escalated or expires.")
    reminded: int
    escalated: bool
    closed_at: str | None
    output: Any
    answers: list[WaitAnswer]
    url: str


class WaitPage(BaseModel):
    """A page of waits."""

    items: list[ShownWait]
    next: str | None


class AnswerBody(BaseModel):
    """An answer. `decision: approve | reject` is another way to write `approved`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"approved": True, "comment": "looks good", "answer": None}}
    )

    approved: bool | None = Field(default=None, description="Whether it is approved.")
    decision: str | None = Field(default=None, description="`approve` or `reject`, instead.", max_length=20)
    answer: Any = Field(default=None, description="What was filled into the form.")
    comment: str | None = Field(default=None, max_length=4_000)
    by: str | None = Field(
        default=None,
        max_length=200,
        description="Who answers, where nobody is logged in; elsewhere the credentials say.",
    )


class LinkBody(BaseModel):
    """For whom a link is made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"responder": "ada@example.org"}})

    responder: str = Field(min_length=1, max_length=200, description="One of those who may answer.")


class AnswerLink(BaseModel):
    """A signed link."""

    responder: str
    url: str = Field(description="GET shows a page, POST decides, once, without credentials.")


class WaitQuery(Listing):
    """Which waits to list."""

    status: WaitStatus | None = None
    workflow: str | None = Field(default=None, max_length=256, description="Id or name.")
    run: str | None = Field(default=None, max_length=256, description="Id of a run.")


def read_answer(value: Any) -> Given:
    """Return the answer that a JSON value holds: an object of AnswerBody, or true or false.

    Raises:
        ValidationFailed: it is neither.

    """
    if isinstance(value, bool):
        return Given(approved=value)
    if not isinstance(value, dict):
        message = "is required: an object with `approved`, `answer` or `comment`"
        raise ValidationFailed(message, errors=[FieldError("resume_data", message)])
    try:
        return given(AnswerBody.model_validate(value))
    except ValidationError as error:
        raise from_validation(error) from None


def given(body: AnswerBody) -> Given:
    """Return what a body says.

    Raises:
        ValidationFailed: `decision` is neither approve nor reject, or says another thing than `approved`.

    """
    approved = body.approved
    if body.decision is not None:
        word = _WORDS.get(body.decision.lower())
        if word is None or (approved is not None and approved is not word):
            message = "must be `approve` or `reject`, and agree with `approved` where both are there"
            raise ValidationFailed(f"decision {message}", errors=[FieldError("decision", message)])
        approved = word
    return Given(approved=approved, answer=body.answer, comment=body.comment, by=body.by)


@router.get("", response_model=WaitPage, summary="List waits")
async def list_waits(context: Context, caller: Caller, query: Annotated[WaitQuery, Query()]) -> Response:
    """List paused jobs that want or had an answer, the newest first."""
    page = await context.waits.page(
        caller,
        status=query.status.value if query.status else None,
        workflow=query.workflow,
        run=query.run,
        limit=query.limit,
        cursor=query.place,
    )
    return listing(page)


@router.get(
    "/{wait_id}",
    response_model=ShownWait,
    summary="Show a wait",
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
async def show_wait(wait_id: Id, request: Request, context: Context, caller: Caller) -> Response:
    """Show one wait with its answers; with `Accept: text/html` as a page with the form. Nothing is decided by it."""
    shown = await context.waits.show(caller, wait_id)
    if answer_forms.wants_page(request):
        return answer_forms.page(shown, caller.user_id)
    return answer(shown)


@router.post(
    "/{wait_id}",
    response_model=ShownWait,
    summary="Answer a wait",
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": AnswerBody.model_json_schema(),
                    "example": AnswerBody.model_config["json_schema_extra"]["example"],  # type: ignore[index]
                }
            },
        }
    },
)
async def answer_wait(wait_id: Id, request: Request, context: Context, caller: Caller) -> Response:
    """Approve, reject or fill in the form. One answer counts for each person; what comes too late changes nothing.

    The page of `GET` sends its form here as well.
    """
    if not answer_forms.is_form(request):
        body = decode_json(await request.body())
        shown = await context.waits.answer(caller, wait_id, read_answer(body))
        return answer(shown)
    before = await context.waits.show(caller, wait_id)
    try:
        filled = answer_forms.filled_in(await request.body(), before)
        shown = await context.waits.answer(caller, wait_id, filled)
    except ValidationFailed as error:
        return answer_forms.page(before, caller.user_id, error)
    return answer_forms.page(shown, caller.user_id)


@router.post("/{wait_id}/links", response_model=AnswerLink, status_code=201, summary="Make a link for an answer")
async def make_link(wait_id: Id, body: LinkBody, context: Context, caller: Caller) -> Response:
    """Make a signed link with which one responder answers without logging in. Needs the role `editor`."""
    return answer(await context.waits.link(caller, wait_id, body.responder), 201)

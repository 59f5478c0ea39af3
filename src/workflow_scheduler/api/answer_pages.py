"""`/answer/{token}`: signed links. Looking decides nothing; what the page sends does, once, without credentials."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request, Response

from workflow_scheduler.api import answer_forms
from workflow_scheduler.api.body import decode_json
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.waits import read_answer
from workflow_scheduler.core.errors import SchedulerError, ValidationFailed

router = APIRouter(include_in_schema=False)


@router.get("/answer/{token}")
async def show_linked(token: str, request: Request, context: Context) -> Response:
    """Show what is asked."""
    try:
        shown, responder = await context.waits.linked(token)
    except SchedulerError as error:
        return _refused(request, error)
    return answer_forms.page(shown, responder)


@router.post("/answer/{token}")
async def answer_linked(token: str, request: Request, context: Context) -> Response:
    """Take the answer."""
    try:
        before, responder = await context.waits.linked(token)
    except SchedulerError as error:
        return _refused(request, error)
    try:
        body = await request.body()
        given = (
            answer_forms.filled_in(body, before) if answer_forms.is_form(request) else read_answer(decode_json(body))
        )
        shown = await context.waits.answer_linked(token, given)
    except ValidationFailed as error:
        if answer_forms.wants_page(request):
            return answer_forms.page(before, responder, error)
        raise
    except SchedulerError as error:
        return _refused(request, error)
    return answer_forms.page(shown, responder)


def _refused(request: Request, error: SchedulerError) -> Response:
    """Return a page that says why nothing was done, or the problem for programs."""
    if not answer_forms.wants_page(request):
        raise error
    fix = f"<p>{escape(error.fix)}</p>" if error.fix else ""
    return answer_forms.document(f"<h1>Nothing was changed</h1><p>{escape(error.detail)}</p>{fix}", error.status)

"""`login` and `logout`: an address and its key, kept for later commands."""

from __future__ import annotations

import sys

import typer

from workflow_scheduler.cli import credentials, output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.client.http import Client
from workflow_scheduler.core.errors import ValidationFailed


def login(context: typer.Context) -> None:
    """Keep the address (--server) and an API key for later commands; the key is asked for, or read from a pipe."""
    session = session_of(context)
    key = _ask()
    me = Client(session.server, key).get("/api/v1/me")
    known = credentials.load()
    known.server = session.server
    known.keys[session.server] = key
    file = credentials.store(known)
    shown = {**me, "server": session.server, "file": str(file)}
    text = f"{session.server}: {me['user_id']} of {me['tenant_id']} ({me['role']}); kept in {file}"
    output.show(session, shown, lambda _: output.note(text))


def _ask() -> str:
    if sys.stdin.isatty():
        text: str = typer.prompt("API key", hide_input=True, err=True)
    else:
        text = sys.stdin.readline()
    key = text.strip()
    if not key:
        raise ValidationFailed("no API key was given", fix="make one: workflow-scheduler key create NAME")
    return key


def logout(context: typer.Context) -> None:
    """Forget the key of the address."""
    session = session_of(context)
    known = credentials.load()
    had = known.keys.pop(session.server, None) is not None
    if known.server == session.server:
        known.server = None
    credentials.store(known)
    text = f"forgot the key of {session.server}" if had else f"there was no key of {session.server}"
    output.show(session, {"server": session.server, "forgotten": had}, lambda _: output.note(text))

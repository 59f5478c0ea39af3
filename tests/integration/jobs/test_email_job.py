"""`email` jobs against a real SMTP server."""

from __future__ import annotations

import asyncio
import base64
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

sys.path.insert(0, str(Path(__file__).parent))

from mailbox import PASSWORD, USER, Post

from workflow_scheduler.core.errors import (
    DefinitionInvalid,
    EgressRefused,
    NotConnected,
    OutcomeUnknown,
    Rejected,
    Unavailable,
)
from workflow_scheduler.core.match import template
from workflow_scheduler.core.model.connection import Smtp
from workflow_scheduler.jobs import email
from workflow_scheduler.outbound.dialer import GuardedDialer
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.testing.job_context import FakeJobContext, FakeResources


@pytest.fixture
def office(tmp_path):
    with Post(tmp_path) as post:
        yield post


@pytest.fixture
def contexts():
    made = []

    def make(post, *, allow=("127.0.0.1",), secrets=None, **fields):
        server = Smtp(
            **{"host": "127.0.0.1", "port": post.port, "security": "none", "sender": "wfs@example.test", **fields}
        )
        dialer = GuardedDialer(EgressGuard(allow))
        resources = FakeResources(dialer=dialer, connections={"mail": ("smtp", server)})
        made.append(FakeJobContext(resources=resources, secrets=secrets))
        return made[-1]

    yield make
    for context in made:
        context.resources.close()


async def send(context, **config):
    given = {"connection": "mail", "to": "bob@example.test", "subject": "Hello", "text": "hi", **config}
    return await email.run(email.Config.model_validate(given), context)


async def test_a_message_with_everything(office, contexts):
    output = await send(
        contexts(office),
        **{"from": "Ann Überall <ann@example.test>"},
        to=["Bob <bob@example.test>", "eve@example.test"],
        cc="carol@example.test",
        bcc=["dan@example.test"],
        reply_to="answers@example.test",
        subject="Grüße",
        html="<h1>Hallo</h1><p>Welt</p>",
        attachments=[
            {"filename": "a.txt", "text": "grün"},
            {"filename": "b.bin", "base64": base64.b64encode(b"\x00\x01").decode()},
            {"filename": "c.json", "json": {"n": [1]}},
        ],
    )
    (message,) = office.box.messages
    sender, recipients, _, _ = office.box.envelopes[0]
    assert sender == "ann@example.test"
    assert recipients == ["bob@example.test", "eve@example.test", "carol@example.test", "dan@example.test"]
    assert output == {"message_id": message["Message-ID"], "accepted": recipients, "refused": {}}
    assert message["From"] == "Ann Überall <ann@example.test>"
    assert message["To"] == "Bob <bob@example.test>, eve@example.test"
    assert (message["Cc"], message["Reply-To"], message["Subject"]) == (
        "carol@example.test", "answers@example.test", "Grüße",
    )  # fmt: skip
    assert "dan@example.test" not in message.as_string()
    assert message.get_body(("plain",)).get_content().strip() == "hi"
    assert "<h1>Hallo</h1>" in message.get_body(("html",)).get_content()
    files = {part.get_filename(): part.get_content() for part in message.iter_attachments()}
    assert files["a.txt"].strip() == "grün"
    assert files["b.bin"] == b"\x00\x01"
    assert files["c.json"] == b'{"n":[1]}'


async def test_every_attempt_has_the_same_message_id_and_every_job_another(office, contexts):
    context = contexts(office)
    first = await send(context)
    context.attempt = 2
    assert (await send(context))["message_id"] == first["message_id"]
    context.idempotency_key = "run-2:job"
    assert (await send(context))["message_id"] != first["message_id"]
    context.idempotency_key, context.tenant_id = "run-1:job", "other"
    assert (await send(context))["message_id"] != first["message_id"]


async def test_html_alone_has_a_text_for_readers_without(office, contexts):
    await send(contexts(office), text=None, html="<p>Hello <b>Bob</b></p>\n<p>&amp; bye</p>")
    assert office.box.messages[0].get_body(("plain",)).get_content().split() == ["Hello", "Bob", "&", "bye"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_log_in_over_tls(tmp_path, contexts, security):
    with Post(tmp_path, security, login=security == "starttls") as post:
        credentials = {"username": USER, "password": PASSWORD} if security == "starttls" else {}
        context = contexts(post, security=security, ca_certificate=post.ca, **credentials)
        await send(context)
        assert post.box.envelopes[0][3].ssl is not None or security == "tls"
        with pytest.raises(Rejected, match=r"certificate of 127\.0\.0\.1 cannot be trusted"):
            await send(contexts(post, security=security))
        assert len(post.box.envelopes) == 1


async def test_a_wrong_password_is_told_and_not_tried_again(tmp_path, contexts):
    with Post(tmp_path, "starttls", login=True) as post:
        context = contexts(post, security="starttls", ca_certificate=post.ca, username=USER, password="mistyped")
        with pytest.raises(Rejected, match="does not accept the log-in of ann") as caught:
            await send(context)
    assert "mistyped" not in f"{caught.value.detail}{caught.value.fix}"
    assert not email.retryable(caught.value)


async def test_a_server_in_the_job_takes_its_password_from_a_secret(tmp_path, contexts):
    with Post(tmp_path) as post:
        server = {"host": "127.0.0.1", "port": post.port, "security": "none"}
        await send(contexts(post), connection=None, server=server, **{"from": "a@example.test"})
        assert len(post.box.messages) == 1
        with pytest.raises(Rejected, match="no secret `pw`"):
            await send(
                contexts(post), connection=None, server={**server, "username": "a", "secret": "pw"},
                **{"from": "a@example.test"},
            )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "kind", "again"),
    [("451 later", Unavailable, True), ("552 too much", Rejected, False), ("554 no", Rejected, False)],
)
async def test_answers_of_the_server_say_whether_to_try_again(office, contexts, answer, kind, again):
    office.box.answers = [answer]
    with pytest.raises(kind, match=answer.replace(" ", ".*")) as caught:
        await send(contexts(office))
    assert email.retryable(caught.value) is again


async def test_one_refused_recipient_does_not_stop_the_others(office, contexts):
    office.box.refused = {"eve@example.test": "550 no such user"}
    context = contexts(office)
    output = await send(context, to=["bob@example.test", "eve@example.test"])
    assert output["accepted"] == ["bob@example.test"]
    assert output["refused"] == {"eve@example.test": "550 no such user"}
    assert "eve@example.test" in context.lines[0][1]
    office.box.refused["bob@example.test"] = "550 gone"
    with pytest.raises(Rejected, match=r"every recipient: bob@example\.test: 550 gone"):
        await send(context)
    office.box.refused["bob@example.test"] = "450 busy"
    with pytest.raises(Unavailable):
        await send(context)


async def test_a_connection_lost_while_sending_may_have_sent(office, contexts):
    office.box.held = threading.Event()
    context = contexts(office)
    task = asyncio.ensure_future(send(context, timeout="300ms"))
    with pytest.raises(OutcomeUnknown) as caught:
        await task
    assert email.retryable(caught.value)
    assert len(office.box.messages) == 1


async def test_cancelling_ends_the_conversation(office, contexts):
    office.box.held = threading.Event()
    context = contexts(office)
    task = asyncio.ensure_future(send(context))
    await asyncio.to_thread(office.box.arrived.wait, 20)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    context.resources.close()
    await asyncio.to_thread(context.resources._threads._pool.shutdown) if context.resources._threads._pool else None


async def test_the_way_to_the_server_goes_through_the_egress_guard(office, contexts):
    with pytest.raises(EgressRefused):
        await send(contexts(office, allow=()))
    assert office.box.messages == []


async def test_a_server_that_is_not_there_may_be_tried_again(office, contexts):
    with pytest.raises(NotConnected) as caught:
        await send(contexts(office, port=1))
    assert email.retryable(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"subject": "x\r\nBcc: eve@example.test"},
        {"to": "bob@example.test\r\nBcc: eve@example.test"},
        {"to": "bob@example.test\nX: y"},
        {"cc": ["Bob\n <bob@example.test>"]},
        {"reply_to": "x\x00@example.test"},
        {"from": "a@example.test\r\nX: y"},
        {"in_reply_to": "<a@b>\r\nX: y"},
        {"attachments": [{"filename": "a\r\nX: y", "text": ""}]},
        {"attachments": [{"filename": "a", "text": "", "content_type": "text/plain\r\nX: y"}]},
        {"to": "nobody"},
        {"to": []},
        {"text": None},
        {"attachments": [{"filename": "a"}]},
        {"attachments": [{"filename": "a", "text": "", "json": 1}]},
        {"server": {"host": "h"}},
        {"connection": None},
        {"sbject": "x"},
    ],
)
def test_headers_cannot_be_smuggled_and_mistakes_are_refused(config):
    given = {"connection": "mail", "to": "bob@example.test", "subject": "Hello", "text": "hi", **config}
    with pytest.raises(ValidationError):
        email.Config.model_validate(given)


@pytest.mark.parametrize("attachment", [{"base64": "?"}, {"text": "", "content_type": "multipart/mixed"}])
async def test_attachments_that_cannot_be_sent_are_named(office, contexts, attachment):
    with pytest.raises(Rejected):
        await send(contexts(office), attachments=[{"filename": "a.bin", **attachment}])
    assert office.box.messages == []


def test_values_in_html_are_escaped_and_in_text_they_are_not():
    value = {"html": "<p>${input.name}</p>", "subject": "for ${input.name}", "text": "${input.name}"}
    parsed = template.parse(value, "with", html_fields=email.html_fields)
    filled = parsed.render({"input": {"name": "<script>&\"'"}})
    assert filled["html"] == "<p>&lt;script&gt;&amp;&quot;&#x27;</p>"
    assert filled["subject"] == "for <script>&\"'"
    assert template.parse({"html": "${input.n}"}, "with", html_fields=("html",)).render({"input": {"n": "<"}}) == {
        "html": "&lt;"
    }


def test_a_statement_with_an_expression_in_it_is_refused_at_save():
    from workflow_scheduler.app import job_types, trigger_types
    from workflow_scheduler.core.definition.check import inspect
    from workflow_scheduler.core.definition.load import read

    text = """
version: 1
name: x
jobs:
  a:
    uses: sql
    with: {connection: db, statement: "SELECT * FROM t WHERE id = ${input.id}"}
  b:
    uses: sql
    with: {connection: db, statements: ["SELECT :a", "SELECT '${input.id}'"], params: {a: "${input.id}"}}
"""
    with pytest.raises(DefinitionInvalid) as caught:
        inspect(read(text)[0], trigger_types(), job_types(), 0)
    assert [one.field for one in caught.value.errors] == ["jobs.a.with.statement", "jobs.b.with.statements[1]"]
    assert all("write `:name` in its place" in one.message for one in caught.value.errors)
    assert caught.value.errors[0].line == 7


@pytest.mark.parametrize(
    ("attachment", "words"),
    [
        ({"filename": "a.txt"}, "write one of `text`, `base64`, `json` and `ref`"),
        ({"text": "hi"}, "an attachment needs a `filename`"),
        ({"name": "big.pdf", "sha256": "0", "left_out": "it is larger than 5 bytes"}, "`big.pdf` is not stored: it is"),
        ({"name": "a.pdf", "sha256": "0"}, "`a.pdf` is not stored: .*attachments: stored"),
    ],
)
async def test_an_attachment_that_cannot_be_sent_is_refused_with_the_reason(attachment, words, office, contexts):
    with pytest.raises(ValidationError, match=words):
        await send(contexts(office), attachments=[attachment])


async def test_a_reference_that_is_gone_fails_the_job_for_good(office, contexts):
    with pytest.raises(Rejected, match="there is no attachment `e/0`") as caught:
        await send(contexts(office), attachments=[{"ref": "e/0"}])
    assert not email.retryable(caught.value)
    assert office.box.messages == []

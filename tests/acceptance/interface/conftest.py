"""The whole service in this process, with two workflows of which one runs for an hour."""

from __future__ import annotations

import pytest
from interface_words import FLOW, SLOW, V1

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient


@pytest.fixture
async def service(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path))
    await application.start()
    yield application
    await application.stop()


@pytest.fixture
async def client(service):
    made = AsgiClient(service.asgi())
    await made.post(f"{V1}/secrets", json={"name": "hook", "value": "s3cret"})
    for definition in (FLOW, SLOW):
        name = definition["name"]
        reply = await made.post(f"{V1}/deployment/workflows/{name}/deploy", json={"workflow_spec": definition})
        assert reply.status == 200, reply.text
    return made

"""The whole application on SQLite, called in the same process."""

from __future__ import annotations

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient


@pytest.fixture
async def application(tmp_path):
    app = Application(Settings(_env_file=None, data=tmp_path))
    await app.start()
    yield app
    await app.stop()


@pytest.fixture
def client(application):
    return AsgiClient(application.asgi())

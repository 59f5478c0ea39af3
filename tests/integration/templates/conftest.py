"""The whole application on SQLite, called in the same process."""

from __future__ import annotations

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient


@pytest.fixture(params=["sqlite"])
def database(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/wfs.db"


@pytest.fixture
async def application(tmp_path, database):
    app = Application(Settings(_env_file=None, data=tmp_path, database_url=database))
    await app.start()
    yield app
    await app.stop()


@pytest.fixture
def client(application):
    return AsgiClient(application.asgi())

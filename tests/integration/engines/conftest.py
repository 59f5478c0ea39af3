"""The whole program on both stores."""

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """The URL of an empty database; empty stands for a file."""
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else ""


@pytest.fixture
async def start(database, tmp_path):
    """A function that starts an instance on one database."""
    running = []

    async def start_one():
        settings = Settings(data=tmp_path, database_url=database, allow_code=True, lock_timeout=1, _env_file=None)
        application = Application(settings)
        await application.start()
        running.append(application)
        return application, AsgiClient(application.asgi())

    yield start_one
    for application in running:
        await application.stop()


@pytest.fixture
async def service(start):
    _, client = await start()
    return client

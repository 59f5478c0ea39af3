"""The whole program with people in it, on both stores: a tenant with members, a bearer for each of them."""

import pytest
from joserfc import jwk, jwt

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

SECRET = "a shared secret that is long enough, surely"


class House:
    """One installation; `client(user)` speaks as that user of the tenant acme."""

    def __init__(self, application):
        self.application = application
        self.asgi = application.asgi()
        self.nobody = AsgiClient(self.asgi)

    def client(self, user, tenant="acme", role="owner"):
        given = {"sub": user, "tenant_id": tenant, "role": role, "exp": 4_000_000_000}
        token = jwt.encode({"alg": "HS256"}, given, jwk.OctKey.import_key(SECRET))
        return AsgiClient(self.asgi, {"authorization": f"Bearer {token}"})


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/wfs.db"


@pytest.fixture
async def open_house(database, tmp_path):
    running = []

    async def start():
        settings = Settings(data=tmp_path, database_url=database, jwt_secret=SECRET, lock_timeout=1, _env_file=None)
        application = Application(settings)
        await application.start()
        running.append(application)
        return House(application)

    yield start
    for application in running:
        await application.stop()


@pytest.fixture
async def house(open_house):
    return await open_house()


@pytest.fixture
def ann(house):
    return house.client("ann")

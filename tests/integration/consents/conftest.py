"""The whole service, registered at a server that acts as GitHub, Slack and Google."""

from __future__ import annotations

import pytest
from consenting import ISSUER, Consenting

from consent_peer import ConsentPeer
from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings


@pytest.fixture
def peer():
    with ConsentPeer() as made:
        yield made


@pytest.fixture
def settings(tmp_path, peer):
    return {"_env_file": None, "data": tmp_path, "jwt_secret": ISSUER, **peer.environment}


@pytest.fixture
async def service(settings, peer):
    application = Application(Settings(**settings))
    await application.start()
    yield Consenting(application, peer)
    await application.stop()

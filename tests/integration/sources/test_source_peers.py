"""Every polled and streaming trigger type, with a real server: found by listing `triggers/` and `peers/`."""

import importlib
import pkgutil

import peers
import pytest

from workflow_scheduler.core.registry import SOURCE_SHAPES, discover
from workflow_scheduler.testing.conformance.source_type import SourcePeerConformance

FOUND = {
    name: module
    for name, module in discover("workflow_scheduler.triggers", "workflow_scheduler.triggers").items()
    if module.shape in SOURCE_SHAPES
}
MODULES = [importlib.import_module(f"peers.{info.name}") for info in pkgutil.iter_modules(peers.__path__)]
PEERS = [peer for module in MODULES for peer in getattr(module, "PEERS", None) or (module.Peer,)]


def test_every_type_has_a_server():
    assert set(FOUND) == {peer.type for peer in PEERS}


@pytest.fixture(params=PEERS, ids=lambda peer: f"{peer.type}-{peer.__name__}" if peer.__name__ != "Peer" else peer.type)
async def peer(request):
    if getattr(request.param, "missing", None):
        pytest.skip(request.param.missing)
    made = request.param()
    await made.start()
    yield made
    await made.stop()


class TestSourceTypes(SourcePeerConformance):
    """The suite over every type."""

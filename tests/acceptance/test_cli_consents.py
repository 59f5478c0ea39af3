"""`connection authorize` against a running service, with a person who consents at a real server."""

import json
import urllib.request
from types import SimpleNamespace

import pytest

from consent_peer import ConsentPeer

SECONDS = 60


@pytest.fixture(scope="module")
def peer():
    with ConsentPeer() as made:
        yield made


@pytest.fixture(scope="module")
def service(tmp_path_factory, start, peer):
    folder = tmp_path_factory.mktemp("service")
    process, url = start(folder, "up", "--port", "0", "--data", str(folder / "data"), **peer.environment)
    try:
        yield SimpleNamespace(url=url, folder=folder)
    finally:
        process.terminate()
        process.wait(SECONDS)
        process.stdout.close()


def test_the_address_is_printed_and_the_connection_waited_for(service, start, tmp_path):
    arguments = ("connection", "authorize", "code", "--provider", "github", "--wait", "30s")
    process, address = start(tmp_path, *arguments, WFS_SERVER=service.url)
    with process.stdout:
        with urllib.request.urlopen(address, timeout=10) as reply:  # noqa: S310 - a server of this test
            assert json.load(reply)["connection"]["name"] == "code"
        assert process.wait(SECONDS) == 0
    assert "connection code is set: ann-at-github" in (tmp_path / "log").read_text()


def test_programs_get_one_object(service, wfs):
    begun = wfs("connection", "authorize", "chat", "--provider", "slack", "--wait", "0", "--json")
    assert (begun.code, begun.json["connection"]) == (0, "chat")
    assert "connection show chat" in begun.err


def test_waiting_ends(service, wfs):
    late = wfs("connection", "authorize", "mail", "--provider", "google", "--wait", "0.5")
    assert late.code == 7
    assert "connection show mail" in late.err


def test_a_wrong_provider_is_said_so(service, wfs):
    wrong = wfs("connection", "authorize", "x", "--provider", "gitlab")
    assert (wrong.code, "github, slack, google" in wrong.err) == (3, True)

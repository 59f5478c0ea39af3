"""A person connects an account in the browser: at the provider, back, again, and as somebody who is signed in."""

import pytest
from chaos.service import Service, wait_until
from desk import Desk

from consent_peer import ConsentPeer

WIDE = {"width": 1360, "height": 900}


@pytest.fixture(scope="module")
def peer():
    with ConsentPeer() as made:
        yield made


@pytest.fixture(scope="module")
def registered(browser, tmp_path_factory, peer):
    """A service that is registered at the providers."""
    service = Service(tmp_path_factory.mktemp("consents"), **peer.environment)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def window(browser, registered):
    context = browser.new_context(viewport=WIDE)
    desk = Desk(context.new_page(), registered)
    yield desk
    context.close()
    assert desk.errors == []


def begin(window, title, name):
    window.open("/connections").click(f"Connect {title}")
    window.fill("Name", name)
    window.click(f"Continue to {title}")


def test_an_account_is_connected_tested_and_connected_again(window, registered):
    begin(window, "GitHub", "code")
    window.see("http, ann-at-github")
    assert window.page.url == f"{registered.url}/connections"
    window.click("Test")
    window.see("answered 200")
    window.click("Reconnect code")
    wait_until(lambda: registered.call("GET", "/api/v1/connections/code")["revision"] == 2, what="a second consent")
    window.see("http, ann-at-github")


def test_a_denied_consent_says_that_nothing_was_connected(window, peer):
    peer.deny = True
    try:
        begin(window, "Google", "mail")
        window.see("The consent was denied at Google")
        window.click("Connections", role="link")
        window.see("Connections")
    finally:
        peer.deny = False


def test_a_name_that_is_taken_is_refused_before_anybody_is_asked(window, registered):
    web = {"name": "by-hand", "kind": "http", "fields": {"auth": "bearer", "secret": "x"}}
    registered.call("POST", "/api/v1/connections", web)
    begin(window, "Slack", "by-hand")
    window.see("not made by a consent at Slack")


def test_who_is_signed_in_finishes_in_the_page(window, registered):
    """The last of the module: with the first key everybody needs one."""
    key = registered.call("POST", "/api/v1/keys", {"name": "person", "role": "editor"})["key"]
    window.open("/connections")
    window.fill("API key or token", key)
    window.click("Sign in")
    window.see("http, ann-at-github")
    begin(window, "Google", "calendar")
    window.see("google, ann@example.test")
    assert window.page.url == f"{registered.url}/connections"
    window.open("/connections/consent")
    window.see("There is nothing to finish here.")
    shown = registered.call("GET", "/api/v1/connections/calendar", headers={"X-API-Key": key})
    assert shown["consent"]["provider"] == "google"

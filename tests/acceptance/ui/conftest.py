"""A real service and a real Chromium. Without one, these tests are skipped by name; CI installs it."""

import os
import shutil
from pathlib import Path

import pytest
from chaos.service import Service
from desk import FLOWS, Desk
from playwright.sync_api import sync_playwright

# Without the rest, a browser asks for hosts that a closed network refuses.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDE = {"width": 1360, "height": 900}


@pytest.fixture(scope="module")
def browser():
    # Playwright's loop runs in this thread as long as it is open: tests of other folders need one of their own.
    path = os.environ.get("WFS_TEST_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium: install it (Debian: apt-get install chromium) or name one in WFS_TEST_BROWSER")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def scene(browser, tmp_path_factory):
    """A service with workflows that ran, failed and wait, as pages show them."""
    service = Service(tmp_path_factory.mktemp("ui"))
    service.start()
    for definition in FLOWS:
        service.deploy(definition)
    yield service
    service.stop()


@pytest.fixture
def desk(browser, scene):
    """A browser window on the service; whatever it reports as an error fails the test."""
    context = browser.new_context(viewport=WIDE)
    desk = Desk(context.new_page(), scene)
    yield desk
    context.close()
    assert desk.errors == []


@pytest.fixture(scope="session")
def shots(tmp_path_factory):
    """The folder of the screenshots; WFS_SHOTS keeps them."""
    folder = Path(os.environ.get("WFS_SHOTS") or tmp_path_factory.mktemp("shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""A real chromium on the real app."""

import base64
import hashlib
import shutil
import time

import pytest
from playwright.sync_api import expect, sync_playwright

from infra.local.process import LocalError
from tests.app import pictures
from tests.client import Client
from tests.site.pages import close, complaints_of

# Keeps the browser from network calls of its own: the tests need only the app.
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

# On a busy machine the page takes longer.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser():
    # Chromium without its own windows, which cost as much as the pages do.
    chromium = shutil.which("chromium-headless-shell")
    if chromium is None:
        raise LocalError("chromium-headless-shell is not installed; run: make test")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def warm_app(app):
    """Return the app once it answers previews, whose world may start after the first world."""
    picture = pictures.png(pictures.small(0))
    body = {
        "steps": [{"operation": "invert"}],
        "picture": hashlib.sha256(picture).hexdigest(),
        "content": base64.b64encode(picture).decode(),
    }
    until = time.monotonic() + 120
    with Client(app.url) as client:
        while client.call("POST", "/previews", body)[0] != 200:
            assert time.monotonic() < until, "no preview was answered in two minutes"
    return app


@pytest.fixture
def page(warm_app, browser):
    """Open the site; fail at the end if the console had an error or a policy was violated."""
    context = browser.new_context(viewport={"width": 1360, "height": 820}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    # Leaving the page with files that were not sent asks first; a visitor says yes.
    page.on("dialog", lambda dialog: dialog.accept())
    complaints = complaints_of(page)
    page.complaints = complaints
    page.goto(warm_app.url)
    yield page
    close(page)
    assert complaints == []

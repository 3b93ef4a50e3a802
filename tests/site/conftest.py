"""A real chromium on the real app."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from infra.local.part import LocalError

# No look-ups of its own: the tests need the app alone.
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        raise LocalError("chromium is not installed; run: make test")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(app, browser):
    """The site, opened; fails at the end if the console named an error or a policy was broken."""
    context = browser.new_context(viewport={"width": 1360, "height": 820}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    complaints = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints
    page.goto(app.url)
    yield page
    context.close()
    assert complaints == []
